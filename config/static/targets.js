// Rows of targets: added and removed on the spot. Without this file, "Add rows" asks the server and a box removes.
(() => {
  const section = document.querySelector("[data-targets]");
  if (!section) return;
  const rows = section.querySelector("[data-rows]");
  const template = section.querySelector("template");
  const count = section.querySelector("[name$='-TOTAL_FORMS']");
  const more = section.querySelector("[name=more_rows]");

  const renumber = () => {
    const shown = [...rows.querySelectorAll("[data-row]:not([hidden])")];
    shown.forEach((row, at) => { row.querySelector("[data-number]").textContent = at + 1; });
    return shown;
  };

  const equip = (row) => {
    const box = row.querySelector("[name$='-DELETE']");
    const remove = document.createElement("button");
    remove.type = "button";
    remove.className = "button secondary";
    remove.textContent = "Remove";
    remove.addEventListener("click", () => {
      box.checked = true;
      row.hidden = true;
      const left = renumber();
      (left.length ? left[left.length - 1].querySelector("select") : more).focus();
    });
    box.closest(".field").hidden = true;
    row.append(remove);
  };

  rows.querySelectorAll("[data-row]").forEach((row) => {
    equip(row);
    row.hidden = row.querySelector("[name$='-DELETE']").checked;
  });
  renumber();

  more.textContent = "Add a group";
  more.type = "button";
  more.addEventListener("click", () => {
    const number = Number(count.value);
    const made = document.createElement("div");
    made.innerHTML = template.innerHTML.replaceAll("__prefix__", number);
    const row = made.firstElementChild;
    rows.append(row);
    count.value = number + 1;
    equip(row);
    renumber();
    row.querySelector("select").focus();
  });
})();
