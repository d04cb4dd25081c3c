"use strict";
(() => {
  const form = document.getElementById("reader-form");
  if (!form) return;
  const [reading, commit, after, save, saved, output] = ["reading", "commit", "after-reveal", "save", "saved", "output-hidden"].map((id) => document.getElementById(id));
  const hides = form.dataset.hides === "yes", began = performance.now();
  let isCommitted = false;
  const show = () => {
    after.hidden = false;
    reading.disabled = isCommitted;
    if (commit) commit.hidden = true;
  };
  if (hides) {
    after.hidden = true;
    commit.addEventListener("click", () => {
      isCommitted = true;
      show();
      output.open = true;
      form.querySelector("[name=answer]").focus();
    });
    output.addEventListener("toggle", () => { if (output.open) show(); });
  }
  save.addEventListener("click", () => {
    const chosen = form.querySelector("[name=answer]:checked");
    if (!chosen) {
      saved.textContent = "Choose agree, disagree or cannot tell first.";
      return;
    }
    const content = {
      schema: "scanlens.reader",
      schema_version: 1,
      case: form.dataset.case,
      run: form.dataset.run || null,
      weights_sha256: form.dataset.weights || null,
      answer: chosen.value,
      reading: reading.value || null,
      answered_before_reveal: isCommitted,
      comment: document.getElementById("comment").value.slice(0, 2000),
      reader: document.getElementById("initials").value.trim() || null,
      seconds: document.getElementById("timed").checked ? Math.round((performance.now() - began) / 100) / 10 : null,
    };
    const link = document.createElement("a"), name = `${form.dataset.case}.reader.json`;
    link.href = URL.createObjectURL(new Blob([`${JSON.stringify(content, null, 1)}\n`], { type: "application/json" }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    saved.textContent = `${name} was offered as a download.`;
  });
  form.hidden = false;
  document.querySelector("#reader .paper").classList.add("only-on-paper");
})();
