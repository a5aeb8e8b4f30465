// Passkeys: a form with data-passkey asks the browser for a key's answer, and then is sent as any form.
(function () {
  "use strict";
  if (!window.PublicKeyCredential) return; // the forms stay hidden
  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const keys = (list) => (list || []).map((one) => ({ ...one, id: bytes(one.id) }));

  function read(options) {
    options.challenge = bytes(options.challenge);
    if (options.user) options.user.id = bytes(options.user.id);
    if (options.excludeCredentials) options.excludeCredentials = keys(options.excludeCredentials);
    if (options.allowCredentials) options.allowCredentials = keys(options.allowCredentials);
    return options;
  }

  function write(credential) {
    const response = {};
    for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (credential.response[name]) response[name] = text(credential.response[name]);
    }
    return JSON.stringify({ id: credential.id, rawId: text(credential.rawId), type: credential.type, response, clientExtensionResults: {} });
  }

  async function answer(form) {
    const reply = await fetch(form.dataset.options, { method: "POST", body: new FormData(form), credentials: "same-origin" });
    const options = await reply.json();
    if (!reply.ok) throw new Error(options.detail);
    const request = { publicKey: read(options) };
    const credential = await (form.dataset.passkey === "add" ? navigator.credentials.create(request) : navigator.credentials.get(request));
    form.elements.credential.value = write(credential);
  }

  for (const form of document.querySelectorAll("form[data-passkey]")) {
    form.hidden = false;
    const problem = form.querySelector("[data-passkey-problem]");
    const general = problem.textContent;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const button = form.querySelector("button");
      problem.hidden = true;
      button.disabled = true;
      try {
        await answer(form);
        form.submit(); // not again through here
      } catch (error) {
        // The platform's own sentence, else ours: browsers' own are in English and say little.
        problem.textContent = error.constructor === Error && error.message ? error.message : general;
        problem.hidden = false;
        button.disabled = false;
        button.focus();
      }
    });
  }
})();
