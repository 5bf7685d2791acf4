// Boxes over faces, drawn by pointer or keyboard. Without this script the form's four numbers do the same work.
(() => {
  const form = document.querySelector("[data-faces]");
  const svg = form?.querySelector("svg");
  if (!svg) return;
  const [, , WIDTH, HEIGHT] = svg.getAttribute("viewBox").split(" ").map(Number);
  const SMALLEST = 0.02, STEP = 0.01;
  const tools = form.querySelector("[data-draw]");
  const said = form.querySelector("[data-said]");
  tools.hidden = false;
  form.querySelector("[data-typed]").hidden = true;
  let count = 0;

  const make = (name) => document.createElementNS("http://www.w3.org/2000/svg", name);
  const clamp = (value, least, most) => Math.min(Math.max(value, least), most);

  const add = (x, y, w, h) => {
    const number = ++count;
    const group = svg.appendChild(make("g"));
    const rect = group.appendChild(make("rect"));
    const field = form.appendChild(Object.assign(document.createElement("input"), { type: "hidden", name: "mark" }));
    const box = { x, y, w, h };
    group.classList.add("drawn");
    group.setAttribute("tabindex", "0");
    group.setAttribute("role", "button");

    const show = () => {
      box.w = clamp(box.w, SMALLEST, 1);
      box.h = clamp(box.h, SMALLEST, 1);
      box.x = clamp(box.x, 0, 1 - box.w);
      box.y = clamp(box.y, 0, 1 - box.h);
      rect.setAttribute("x", box.x * WIDTH);
      rect.setAttribute("y", box.y * HEIGHT);
      rect.setAttribute("width", box.w * WIDTH);
      rect.setAttribute("height", box.h * HEIGHT);
      // Rounded down, so that rounding never puts the box outside.
      field.value = ["cover", ...[box.x, box.y, box.w, box.h].map((part) => (Math.floor(part * 1e5) / 1e5).toFixed(5))].join(" ");
      const [left, top, across, down] = [box.x, box.y, box.w, box.h].map((part) => Math.round(part * 100));
      const words = `Box ${number}: ${left} % from the left, ${top} % from the top, ${across} % wide, ${down} % high`;
      group.setAttribute("aria-label", `${words}. Arrow keys move it, with Shift they change its size, Delete removes it.`);
      return words;
    };
    const remove = () => {
      group.remove();
      field.remove();
      said.textContent = `Box ${number} is gone.`;
      form.querySelector("[data-add]").focus();
    };
    group.addEventListener("keydown", (event) => {
      const move = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key];
      if (event.key === "Delete" || event.key === "Backspace") { event.preventDefault(); remove(); return; }
      if (!move) return;
      event.preventDefault();
      if (event.shiftKey) { box.w += move[0]; box.h += move[1]; } else { box.x += move[0]; box.y += move[1]; }
      said.textContent = show();
    });
    said.textContent = show();
    return { box, group, show, remove };
  };

  form.querySelector("[data-add]").addEventListener("click", () => add(0.4, 0.35, 0.2, 0.2).group.focus());

  const place = (event) => {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    return [clamp(point.x / WIDTH, 0, 1), clamp(point.y / HEIGHT, 0, 1)];
  };

  svg.addEventListener("pointerdown", (event) => {
    if (event.target.closest(".drawn")) return;
    const [x, y] = place(event);
    let drawn = null;
    const draw = (moved) => {
      const [toX, toY] = place(moved);
      if (!drawn && Math.max(Math.abs(toX - x), Math.abs(toY - y)) < SMALLEST) return;
      drawn ??= add(x, y, SMALLEST, SMALLEST);
      Object.assign(drawn.box, { x: Math.min(x, toX), y: Math.min(y, toY), w: Math.abs(toX - x), h: Math.abs(toY - y) });
      drawn.show();
    };
    const stop = () => {
      svg.removeEventListener("pointermove", draw);
      drawn?.group.focus();
    };
    svg.setPointerCapture(event.pointerId);
    svg.addEventListener("pointermove", draw);
    svg.addEventListener("pointerup", stop, { once: true });
    svg.addEventListener("pointercancel", stop, { once: true });
  });
})();
