// A button beside each piece of code that copies it. Without this script one marks it and copies by hand.
if (navigator.clipboard) {
  for (const code of document.querySelectorAll("pre[data-copy]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "quiet copy";
    button.textContent = code.dataset.copy;
    button.setAttribute("aria-describedby", code.getAttribute("aria-labelledby"));
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = code.dataset.copied;
      setTimeout(() => (button.textContent = code.dataset.copy), 2000);
    });
    code.before(button);
  }
}
