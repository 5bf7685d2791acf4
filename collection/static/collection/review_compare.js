// Looks at two photographs: side by side, their difference, one faded over the other; zoomed and moved together.
(() => {
  const area = document.querySelector("[data-compare]");
  if (!area) return;
  const find = (selector) => area.querySelector(selector);
  const all = (selector) => Array.from(area.querySelectorAll(selector));
  const [stage, sides, below, above] = ["[data-stage]", "[data-sides]", "[data-below]", "[data-above]"].map(find);
  const [amountBox, pick, zoom] = ["[data-amount]", "[data-with]", "[data-zoom]"].map(find);
  const amount = amountBox.querySelector("input");
  const [mine, others] = [find("[data-this]"), all("[data-other]")];
  const views = all("input[name=view]");
  let zoomed = false;
  find("[data-tools]").hidden = false;

  const source = (picture) => (zoomed ? picture.dataset.full : picture.src);
  const show = () => {
    const view = views.find((radio) => radio.checked)?.value ?? "side";
    const over = view !== "side";
    [stage.hidden, sides.hidden, amountBox.hidden] = [!over, over, !over];
    if (!over) return;
    const other = others[pick ? pick.value : 0];
    if (below.src !== source(mine)) below.src = source(mine);
    if (above.src !== source(other)) above.src = source(other);
    above.classList.toggle("mirrored", "mirrored" in other.dataset);
    above.classList.toggle("difference", view === "difference");
    above.style.opacity = amount.value / 100;
  };
  for (const radio of views) {
    radio.addEventListener("change", () => {
      amount.value = radio.value === "fade" ? 50 : 100;
      show();
    });
  }
  amount.addEventListener("input", show);
  pick?.addEventListener("change", show);
  find("[data-turn]")?.addEventListener("click", () => {
    const next = views[(views.findIndex((radio) => radio.checked) + 1) % views.length];
    next.checked = true;
    next.dispatchEvent(new Event("change"));
  });

  // --- Zoom: the full size is fetched only when somebody wants it
  const panes = all("[data-pane]");
  const centre = (pane, x, y) => pane.scrollTo(x * pane.scrollWidth - pane.clientWidth / 2, y * pane.scrollHeight - pane.clientHeight / 2);
  const setZoom = (on, x = 0.5, y = 0.4) => {
    zoomed = on;
    area.classList.toggle("zoomed", on);
    zoom.setAttribute("aria-pressed", String(on));
    if (on) for (const picture of [mine, ...others]) picture.src = picture.dataset.full;
    show();
    for (const pane of panes) if (on && !pane.hidden) centre(pane, x, y);
  };
  zoom.addEventListener("click", () => setZoom(!zoomed));
  for (const pane of panes) {
    pane.addEventListener("click", (event) => {
      const box = pane.getBoundingClientRect();
      setZoom(!zoomed, (event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
    });
    pane.addEventListener("scroll", () => {
      if (!zoomed) return;
      const across = pane.scrollLeft / Math.max(1, pane.scrollWidth - pane.clientWidth);
      const down = pane.scrollTop / Math.max(1, pane.scrollHeight - pane.clientHeight);
      for (const other of panes) {
        if (other === pane || other.hidden) continue;
        const to = [across * (other.scrollWidth - other.clientWidth), down * (other.scrollHeight - other.clientHeight)];
        if (Math.abs(other.scrollLeft - to[0]) > 2 || Math.abs(other.scrollTop - to[1]) > 2) other.scrollTo(...to);
      }
    });
  }
})();
