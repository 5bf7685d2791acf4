// Sends the chosen photographs one by one, with a preview, progress and an answer for each.
// Without this script the plain form does the same work.
(() => {
  const holder = document.querySelector("[data-upload]");
  const form = holder?.querySelector("form");
  const input = form?.querySelector("input[type=file]");
  if (!input) return;
  const button = form.querySelector("button:not([type=button])");
  const list = Object.assign(document.createElement("ul"), { className: "thumbs" });
  const status = Object.assign(document.createElement("p"), { className: "notice" });
  const done = holder.querySelector("[data-done]");
  list.setAttribute("aria-label", "Chosen photographs");
  status.setAttribute("role", "status");
  form.after(status, list);
  status.hidden = true;
  let chosen = [];

  const show = (file) => {
    const item = document.createElement("li");
    const figure = item.appendChild(document.createElement("figure"));
    if (/^image\/(jpeg|png|webp)$/.test(file.type)) {
      const picture = figure.appendChild(new Image());
      picture.alt = "";
      picture.src = URL.createObjectURL(file);
      picture.onload = () => URL.revokeObjectURL(picture.src);
      picture.onerror = () => picture.remove(); // not a picture, whatever its name says
    }
    const words = figure.appendChild(document.createElement("figcaption"));
    const name = words.appendChild(document.createElement("strong"));
    name.textContent = file.name;
    const answer = words.appendChild(document.createElement("p"));
    answer.textContent = `${(file.size / 1e6).toFixed(1)} MB`;
    const bar = words.appendChild(Object.assign(document.createElement("progress"), { max: 1, value: 0, hidden: true }));
    bar.setAttribute("aria-label", `Upload of ${file.name}`);
    list.append(item);
    return { file, answer, bar, sent: false };
  };

  const mark = (entry, kind, word, message) => {
    const badge = Object.assign(document.createElement("span"), { className: `badge ${kind}`, textContent: word });
    entry.answer.replaceChildren(badge, ` ${message}`);
    entry.bar.hidden = true;
  };

  const send = (entry) => new Promise((settled) => {
    const data = new FormData();
    data.append("csrfmiddlewaretoken", form.elements.csrfmiddlewaretoken.value);
    data.append(input.name, entry.file);
    const request = new XMLHttpRequest();
    entry.bar.hidden = false;
    request.upload.onprogress = (progress) => { entry.bar.value = progress.loaded / progress.total; };
    request.onerror = () => { mark(entry, "warn", "not sent", "The connection broke off."); settled(); };
    request.onload = () => {
      let result;
      try {
        result = JSON.parse(request.responseText).files[0];
      } catch {
        mark(entry, "warn", "not sent", "Something went wrong on our side.");
        return settled();
      }
      entry.sent = true;
      mark(entry, result.image_id ? "ok" : "bad", result.image_id ? "arrived" : "not taken", result.message);
      settled();
    };
    request.open("POST", location.href);
    request.setRequestHeader("Accept", "application/json");
    request.send(data);
  });

  input.addEventListener("change", () => {
    list.replaceChildren();
    chosen = Array.from(input.files, show);
  });
  form.addEventListener("submit", async (event) => {
    const waiting = chosen.filter((entry) => !entry.sent);
    if (!chosen.length) return; // the server says what is missing
    event.preventDefault();
    button.disabled = true;
    status.hidden = false;
    for (const [index, entry] of waiting.entries()) {
      status.textContent = `Sending ${index + 1} of ${waiting.length} …`;
      await send(entry);
    }
    const left = chosen.filter((entry) => !entry.sent).length;
    status.textContent = left
      ? `${left} of ${chosen.length} could not be sent. Nothing is lost: press Send again when you are online.`
      : "Everything was sent. See below what we say to each photograph.";
    if (done) done.hidden = false;
    button.disabled = false;
  });
})();
