// A drawn signature, beside the typed name that is always there: SVG path data in a box of 600 x 200.
// Without this script the box stays hidden.
(() => {
  const holder = document.querySelector("[data-draw]");
  const input = document.querySelector("input[name=drawing]");
  if (!holder || !input) return;
  const box = holder.querySelector("svg");
  const path = box.querySelector("path");
  const status = holder.querySelector("[data-drawn]");
  const longest = 19900; // characters; the server takes 20,000
  let drawing = false;

  const show = () => {
    path.setAttribute("d", input.value);
    status.textContent = input.value ? status.dataset.drawn : "";
  };
  const clamp = (value, most) => Math.round(Math.min(Math.max(value, 0), most));
  const add = (letter, event) => {
    if (input.value.length > longest) return;
    const frame = box.getBoundingClientRect();
    const x = clamp(((event.clientX - frame.left) / frame.width) * 600, 600);
    const y = clamp(((event.clientY - frame.top) / frame.height) * 200, 200);
    const step = `${letter} ${x} ${y}`;
    if (!input.value.endsWith(step)) input.value = `${input.value} ${step}`.trim();
    path.setAttribute("d", input.value);
  };

  box.addEventListener("pointerdown", (event) => {
    if (event.button > 0) return;
    drawing = true;
    box.setPointerCapture(event.pointerId);
    add("M", event);
    event.preventDefault();
  });
  box.addEventListener("pointermove", (event) => { if (drawing) add("L", event); });
  for (const name of ["pointerup", "pointercancel"]) {
    box.addEventListener(name, () => { drawing = false; show(); });
  }
  holder.querySelector("input[type=button]").addEventListener("click", () => { input.value = ""; show(); });
  holder.hidden = false;
  show();
})();
