// Progress and previews for the upload form; without this script the plain form does the same work.
const holder = document.querySelector("[data-upload]");
const form = holder?.querySelector("form");
const input = form?.querySelector("input[type=file]");
if (input) {
  const list = Object.assign(document.createElement("ul"), { className: "thumbs" });
  const bar = Object.assign(document.createElement("progress"), { max: 1, value: 0, hidden: true });
  bar.setAttribute("aria-label", "Upload progress");
  input.after(list, bar);
  input.addEventListener("change", () => {
    list.replaceChildren(...Array.from(input.files, (file) => {
      const item = document.createElement("li");
      const figure = item.appendChild(document.createElement("figure"));
      if (/^image\/(jpeg|png|webp)$/.test(file.type)) {
        const picture = figure.appendChild(new Image());
        picture.alt = "";
        picture.src = URL.createObjectURL(file);
        picture.onload = () => URL.revokeObjectURL(picture.src);
      }
      const words = figure.appendChild(document.createElement("figcaption"));
      words.textContent = `${file.name} · ${(file.size / 1e6).toFixed(1)} MB`;
      return item;
    }));
  });
  form.addEventListener("submit", (event) => {
    if (!input.files.length) return;
    event.preventDefault();
    const button = form.querySelector("button");
    const request = new XMLHttpRequest();
    button.disabled = true;
    bar.hidden = false;
    request.upload.onprogress = (progress) => { bar.value = progress.loaded / progress.total; };
    request.onload = () => { document.open(); document.write(request.responseText); document.close(); };
    request.onerror = () => {
      button.disabled = false;
      bar.hidden = true;
      const notice = Object.assign(document.createElement("p"), { className: "notice warning", textContent:
        "The connection broke off. Nothing is lost: press Send again. What has arrived already is only counted once." });
      notice.setAttribute("role", "alert");
      form.prepend(notice);
    };
    request.open("POST", location.href);
    request.send(new FormData(form));
  });
}
