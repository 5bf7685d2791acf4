// Brings the certificate up to date while something is under way; without JavaScript the page reloads itself.
"use strict";
const EVERY_MS = 3000;

async function look() {
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (answer.ok) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("progress");
      if (fresh) document.getElementById("progress").replaceWith(fresh);
    }
  } catch (error) {
    // Off line for a moment: the next look tries again.
  }
  if (document.getElementById("progress").dataset.working === "yes") setTimeout(look, EVERY_MS);
}

setTimeout(look, EVERY_MS);
