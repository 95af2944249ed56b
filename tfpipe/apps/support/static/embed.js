// <script src="https://HOST/embed.js" async></script> adds a button that opens the page in a corner.
"use strict";
(() => {
  const origin = new URL(document.currentScript.src).origin;
  const chinese = (document.documentElement.lang || navigator.language).startsWith("zh");
  const words = chinese ? ["客户服务", "关闭客户服务"] : ["Customer service", "Close customer service"];
  const button = document.createElement("button");
  const frame = document.createElement("iframe");
  Object.assign(button, { type: "button", textContent: words[0] });
  Object.assign(frame, { title: words[0], hidden: true });
  Object.assign(button.style, {
    position: "fixed", right: "16px", bottom: "16px", zIndex: 2147483000, padding: "12px 18px",
    border: 0, borderRadius: "24px", font: "600 16px system-ui, sans-serif", color: "#fff",
    background: "#0b5d5b", boxShadow: "0 2px 10px rgb(0 0 0 / 30%)", cursor: "pointer",
  });
  Object.assign(frame.style, {
    position: "fixed", right: "16px", bottom: "76px", zIndex: 2147483000, border: 0,
    width: "min(400px, calc(100vw - 32px))", height: "min(620px, calc(100vh - 100px))",
    borderRadius: "12px", boxShadow: "0 4px 24px rgb(0 0 0 / 30%)", background: "#fff",
  });
  button.setAttribute("aria-expanded", "false");
  button.onclick = () => {
    frame.src ||= `${origin}/?embed`;
    frame.hidden = !frame.hidden;
    button.textContent = words[frame.hidden ? 0 : 1];
    button.setAttribute("aria-expanded", String(!frame.hidden));
    if (!frame.hidden) frame.focus();
  };
  const add = () => document.body.append(frame, button);
  if (document.body) add();
  else addEventListener("DOMContentLoaded", add);
})();
