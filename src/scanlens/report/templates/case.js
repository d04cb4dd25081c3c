"use strict";
(() => {
  const fade = document.getElementById("fade"), faded = document.getElementById("faded");
  const turn = { ArrowLeft: "previous", ArrowRight: "following" };
  if (fade) {
    const heats = document.querySelectorAll(".views .heat");
    const show = () => {
      heats.forEach((heat) => { heat.style.opacity = String(fade.value / 100); });
      faded.value = `${fade.value} %`;
    };
    fade.addEventListener("input", show);
    fade.closest(".fade").hidden = false;
    show();
  }
  document.addEventListener("keydown", (event) => {
    const modified = event.altKey || event.ctrlKey || event.metaKey || event.shiftKey;
    if (event.target === fade || modified || event.repeat || event.target.closest("[tabindex], #reader-form") || !(event.key in turn)) return;
    const link = document.getElementById(turn[event.key]);
    if (link) link.click();
  });
})();
