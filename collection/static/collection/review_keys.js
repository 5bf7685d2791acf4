// The review desk by keyboard. Each key presses the button that shows it, so mouse and screen reader do the same.
// Also: a sign of life while somebody works on a case, and the seconds in which a decision can be undone.
(() => {
  const find = (selector) => document.querySelector(selector);
  const [help, sure, decide, said] = ["[data-help]", "[data-sure]", "[data-decide]", "[data-said]"].map(find);
  let armed = false; // r was pressed, the reason is to come
  let leaving = false;
  let touched = Date.now();

  const say = (words) => { if (said) said.textContent = words; };
  const typing = (target) => target.isContentEditable
    || target.matches?.("textarea, select, input:not([type=radio], [type=checkbox], [type=range], [type=button])");
  const keysOn = () => localStorage.getItem("review-keys") !== "off";

  const turnDown = () => {
    if (decide.querySelector("[data-digit]:checked")) return decide.querySelector("[data-reject]").click();
    armed = true;
    return say("Turn down: press 1 to 9 for the reason, or Escape.");
  };
  const choose = (digit) => {
    const radio = decide.querySelector(`[data-digit="${digit}"]`);
    if (!radio) return;
    radio.checked = true;
    if (armed) turnDown();
    else say(`${radio.closest("label").textContent.trim()}: press r to turn it down.`);
  };
  const press = (key) => {
    if (key === "escape") {
      armed = false;
      return say("");
    }
    if (decide && /^[1-9]$/.test(key)) return choose(key);
    if (decide && key === "r") return turnDown();
    return find(`[data-key="${CSS.escape(key)}"]`)?.click();
  };

  document.addEventListener("keydown", (event) => {
    touched = Date.now();
    if (event.ctrlKey || event.altKey || event.metaKey || event.repeat || event.isComposing || leaving) return;
    if (event.key === "Enter" && event.target.matches("[data-digit]")) event.preventDefault(); // r turns down, not Enter
    if (typing(event.target) || !keysOn()) return;
    const key = event.key.toLowerCase();
    if (sure?.open) {
      if (key === "m") sure.querySelector("[data-yes]").click();
      return;
    }
    if (help?.open || (event.shiftKey && key !== "?")) return;
    press(key);
  });

  // --- Dialogs
  const opener = find("[data-open-help]");
  if (opener && help) {
    opener.hidden = false;
    opener.addEventListener("click", () => help.showModal());
    const box = help.querySelector("[data-keys-on]");
    box.checked = keysOn();
    box.addEventListener("change", () => localStorage.setItem("review-keys", box.checked ? "on" : "off"));
  }
  const minor = find("[data-minor]");
  let certain = false;
  minor?.addEventListener("click", (event) => {
    if (certain) return;
    event.preventDefault();
    sure.showModal();
  });
  sure?.querySelector("[data-no]").addEventListener("click", () => sure.close());
  sure?.querySelector("[data-yes]").addEventListener("click", () => {
    certain = true;
    sure.close();
    minor.click();
  });

  // --- One decision, sent once
  document.addEventListener("submit", (event) => {
    if (event.target.method === "dialog" || event.defaultPrevented) return;
    if (leaving) event.preventDefault();
    leaving = true;
  });
  addEventListener("pageshow", () => { leaving = false; });

  // --- The seconds in which it can be undone
  const undo = find("[data-undo]");
  if (undo) {
    const until = Date.now() + undo.dataset.left * 1000;
    const words = undo.querySelector("[data-countdown]");
    const tick = () => {
      const left = Math.ceil((until - Date.now()) / 1000);
      words.textContent = `in ${left} s`;
      if (left > 0) return;
      clearInterval(timer);
      undo.remove();
    };
    const timer = setInterval(tick, 1000);
    tick();
  }

  // --- Still here
  const claim = find("[data-claim]");
  if (!claim) return;
  const BEAT = 20000;
  for (const sign of ["pointermove", "pointerdown", "wheel", "scroll"]) {
    document.addEventListener(sign, () => { touched = Date.now(); }, { passive: true, capture: true });
  }
  const lost = (words) => {
    clearInterval(beating);
    claim.textContent = words;
    claim.className = "notice warning";
    claim.setAttribute("role", "alert");
    for (const button of decide.querySelectorAll("button")) button.disabled = true;
  };
  const beat = async () => {
    if (document.hidden || leaving || Date.now() - touched > 60000) return;
    const body = new FormData();
    body.append("csrfmiddlewaretoken", decide.elements.csrfmiddlewaretoken.value);
    try {
      const answer = await fetch(claim.dataset.claim, { method: "POST", body, headers: { Accept: "application/json" } });
      if (answer.status === 409) return lost((await answer.json()).says || "This case is not yours any more.");
      if (answer.ok) claim.querySelector("[data-until]").textContent = (await answer.json()).until;
    } catch {
      // Offline for a moment: the next one tells.
    }
  };
  const beating = setInterval(beat, BEAT);
})();
