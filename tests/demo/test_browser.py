"""The small browser sends what a real one would."""

import httpx

from demo.browser import Browser, Page

FORM = """<body><nav>around</nav><main id="m"><h1>Words</h1><form method="post" action="/there/">
<input type="hidden" name="csrfmiddlewaretoken" value="t0k"><input name="who" value="me">
<input type="checkbox" name="a" checked><input type="checkbox" name="b"><textarea name="t">old</textarea>
<select name="s"><option value="">-</option><option value="1" selected>One</option></select>
<button name="go" value="now">Go</button></form><code id="token">abc</code></main><footer>below</footer></body>"""


def page():
    return Page(
        httpx.Response(
            200, html=FORM, headers={"content-type": "text/html"}, request=httpx.Request("GET", "http://x.test/here/")
        )
    )


def test_words_of_the_main_part_only():
    assert page().text == "Words Go abc"
    assert page().ids["token"] == "abc"


def test_what_is_sent():
    sent = {}

    def answer(request):
        sent["url"], sent["body"] = str(request.url), dict(httpx.QueryParams(request.content.decode()))
        return httpx.Response(200, html="<p>done</p>")

    browser = Browser("http://x.test")
    browser.client = httpx.Client(base_url="http://x.test", transport=httpx.MockTransport(answer))
    browser.fill(page(), {"who": "you", "b": "on"}, press=("go", "now"))
    assert sent["url"] == "http://x.test/there/"
    assert sent["body"] == {
        "csrfmiddlewaretoken": "t0k", "who": "you", "a": "on", "b": "on", "t": "old", "s": "1", "go": "now",
    }  # fmt: skip
