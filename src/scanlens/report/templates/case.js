"use strict";
(() => {
  const fade = document.getElementById("fade"), faded = document.getElementById("faded");
  const turn = { ArrowLeft: "previous", ArrowRight: "following" };
  if (fade) {
    const heat = fade.closest("figure").querySelector(".heat");
    const show = () => {
      heat.style.opacity = String(fade.value / 100);
      faded.value = `${fade.value} %`;
    };
    fade.addEventListener("input", show);
    fade.closest(".fade").hidden = false;
    show();
  }
  document.addEventListener("keydown", (event) => {
    if (event.target === fade || event.altKey || event.ctrlKey || event.metaKey || !(event.key in turn)) return;
    const link = document.getElementById(turn[event.key]);
    if (link) link.click();
  });
})();
