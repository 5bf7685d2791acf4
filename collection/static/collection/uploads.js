// Uploads that go on after a lost connection, a closed tab or a restarted server: Uppy, by tus to us or straight to S3.
// Without this script the plain form below it does the same work in one go.
(() => {
  const place = document.querySelector("[data-uploads]");
  const plain = document.querySelector("[data-plain]");
  if (!place || !plain || !window.LikenessUppy) return;
  const { AwsS3, Dashboard, GoldenRetriever, Tus, Uppy } = window.LikenessUppy;
  const { create, sign } = place.dataset;
  const token = plain.querySelector("[name=csrfmiddlewaretoken]").value;
  const accepted = plain.querySelector("input[type=file]").accept.split(",");
  const sent = place.querySelector("[data-sent]");
  const list = sent.querySelector("ul");
  const MiB = 2 ** 20;
  // A tunnel may be long: after a minute of trying it is tried every minute. Offline, Uppy waits for the network itself.
  const RETRIES = [0, 1000, 2000, 4000, 8000, 15000, 30000, ...Array(20).fill(60000)];
  const LOOKS = [500, 1000, 1500, 2000, 3000, 5000, 8000, 12000, 20000, 30000];

  const touch = matchMedia("(pointer: coarse)").matches;
  const uppy = new Uppy({
    id: `likeness-${create}`,
    restrictions: { allowedFileTypes: accepted },
    locale: { strings: { youCanOnlyUploadFileTypes: "Only photographs, please: JPEG, HEIC, PNG, WebP, AVIF or TIFF." } },
  });
  uppy.use(Dashboard, {
    target: place.querySelector("[data-dashboard]"),
    inline: true,
    width: "100%",
    height: 460,
    theme: "auto",
    proudlyDisplayPoweredByUppy: false,
    showNativePhotoCameraButton: touch,
    nativeCameraFacingMode: "user",
    showRemoveButtonAfterComplete: true,
    note: "JPEG, HEIC, PNG, WebP, AVIF or TIFF; many at once if you like.",
    locale: {
      strings: {
        dashboardTitle: "Choose and send photographs",
        dropPasteFiles: "Drop photographs here or %{browseFiles}",
        dropPasteImportFiles: touch ? "Choose as many as you like, or take one now" : "Drop photographs here, %{browseFiles}, or",
        dropHint: "Drop your photographs here",
        browseFiles: "choose them",
        myDevice: "My photographs",
        takePictureBtn: "Take a photograph",
        recoveredAllFiles: "Your photographs are still here. Go on sending them.",
        uploadXFiles: { 0: "Send %{smart_count} photograph", 1: "Send %{smart_count} photographs" },
        uploadXNewFiles: { 0: "Send +%{smart_count} photograph", 1: "Send +%{smart_count} photographs" },
        xFilesSelected: { 0: "%{smart_count} photograph chosen", 1: "%{smart_count} photographs chosen" },
        complete: "Everything was sent",
      },
    },
  });
  if (sign) uppy.use(AwsS3, { shouldUseMultipart: true, limit: 3, getChunkSize: () => 5 * MiB, generateObjectKey: (file) => file.meta.reference, signRequest });
  else {
    uppy.use(Tus, {
      endpoint: create,
      headers: { "X-CSRFToken": token },
      limit: 3,
      chunkSize: 4 * MiB,
      // Not with the announcement: broken off, it is repeated from its first byte, and all of it crosses the slow line
      // once more.
      uploadDataDuringCreation: false,
      removeFingerprintOnSuccess: true,
      retryDelays: RETRIES,
      allowedMetaFields: ["filename", "reference", "sha256"],
    });
  }
  uppy.use(GoldenRetriever, { expires: 48 * 3600 * 1000, indexedDB: { maxFileSize: 64 * MiB, maxTotalSize: 1024 * MiB } });

  // Uppy notes only twice a second where it stands. Of a page that was left in between, what had arrived comes back as
  // a photograph without its picture: it is done, and asking for it again would be wrong.
  uppy.on("restored", () => {
    for (const { id, isGhost, progress } of uppy.getFiles()) {
      if (isGhost && progress.bytesUploaded === progress.bytesTotal) uppy.removeFile(id);
    }
    if (!uppy.getFiles().length) uppy.setState({ recoveredState: null });
  });

  // --- What we say about a photograph before it goes: its name, a name for this try, its hash ---

  const hex = (bytes) => Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");
  uppy.on("file-added", (file) => {
    const reference = hex(crypto.getRandomValues(new Uint8Array(16)));
    uppy.setFileMeta(file.id, { reference, filename: file.name });
  });
  uppy.addPreProcessor(async (ids) => {
    if (!crypto.subtle) return; // only on HTTPS; the server then does without
    for (const file of uppy.getFilesByIds(ids)) {
      if (file.meta.sha256 || !file.data) continue;
      try {
        const sha256 = hex(await crypto.subtle.digest("SHA-256", await file.data.arrayBuffer()));
        uppy.setFileMeta(file.id, { sha256 });
      } catch {
        // too large for this phone's memory
      }
    }
  });

  // --- Straight to S3 ---------------------------------------------------------------------------

  const ask = (address, body) =>
    fetch(address, {
      method: "POST",
      headers: { "X-CSRFToken": token, "Content-Type": "application/json" },
      body: JSON.stringify(body),
      redirect: "error",
    });

  async function signRequest(request) {
    const file = uppy.getFiles().find((one) => one.meta.reference === request.key);
    const { filename, reference, sha256 } = file?.meta ?? {};
    const about = request.method === "POST" && !request.uploadId ? { filename, reference, sha256, size: file?.size } : {};
    const answer = await ask(sign, { ...request, ...about });
    if (!answer.ok) throw Object.assign(new Error(await sentence(answer)), { says: true });
    return answer.json();
  }

  const sentence = async (answer) =>
    answer.headers.get("Content-Type")?.startsWith("text/plain") ? answer.text() : "The server could not answer. Please try again.";

  // --- What became of it ------------------------------------------------------------------------

  const rows = new Map();
  const say = (file, badge, word, message, key = file.id) => {
    let row = rows.get(key);
    if (!row) {
      row = list.appendChild(document.createElement("li"));
      rows.set(key, row);
    }
    sent.hidden = false;
    const mark = Object.assign(document.createElement("span"), { className: `badge ${badge}`, textContent: word });
    const name = Object.assign(document.createElement("strong"), { textContent: file.name });
    row.replaceChildren(mark, " ", name, " ", message);
  };
  const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

  // What is not taken leaves the list above: there is nothing to retry, and nothing failed.
  const refuse = (file, says) => {
    say(file, "bad", "not taken", says);
    setTimeout(() => {
      if (uppy.getFile(file.id)) uppy.removeFile(file.id);
      calm(file);
    });
  };
  const calm = (file) => {
    const info = uppy.getState().info.filter(({ message }) => !String(message).includes(file.name));
    uppy.setState({ info, ...(uppy.getFiles().some((one) => one.error) ? {} : { error: null }) });
  };

  // What cannot even be chosen (a wrong kind of file, the same one twice) is told by Uppy in a message that goes away.
  uppy.on("restriction-failed", (file, { message }) => {
    if (!file?.name) return;
    const chosen = uppy.getFiles().some(({ name, size }) => name === file.name && size === file.size);
    say(file, "bad", "not taken", chosen ? "You have chosen this one already." : message, `not chosen: ${file.name}`);
  });

  const follow = async (file, address) => {
    for (const wait of LOOKS) {
      await pause(wait);
      let told;
      try {
        const answer = await fetch(address, { headers: { Accept: "application/json" } });
        if (answer.status === 404) return;
        told = await answer.json();
      } catch {
        continue; // offline again: it has arrived, and there is time
      }
      if (told.state === "refused") return refuse(file, told.message);
      say(file, told.badge, told.word, told.message);
      if (told.cover) {
        const words = { href: told.cover, textContent: "Cover faces" };
        rows.get(file.id).append(" ", Object.assign(document.createElement("a"), words));
      }
      if (told.state === "taken") return;
    }
  };

  uppy.on("upload-success", (file, { uploadURL, body }) => {
    say(file, "quiet", "arrived", "Thank you. It is being checked.");
    let address = uploadURL;
    if (sign) {
      const id = body.key.split("/")[1].replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
      address = `/me/uploads/${id}/`;
      ask(`${address}arrived/`, {}).catch(() => {}); // if it is lost, the server looks by itself
    }
    follow(file, address);
  });
  uppy.on("upload-error", (file, error, response) => {
    const request = response?.body?.xhr;
    const plainWords = request?.getResponseHeader?.("Content-Type")?.startsWith("text/plain");
    const says = plainWords ? request.responseText : error.says ? error.message : "";
    if (says) refuse(file, says);
    else {
      say(file, "warn", "not sent yet", "The connection broke off. Nothing is lost: press Retry when you are online.");
    }
  });
  window.addEventListener("online", () => uppy.getFiles().some((file) => file.error && !file.isPaused) && uppy.retryAll());
  window.addEventListener("beforeunload", (event) => {
    if (uppy.getFiles().some((file) => file.progress.uploadStarted && !file.progress.uploadComplete)) event.preventDefault();
  });

  // --- The plain form steps back ----------------------------------------------------------------

  const other = document.createElement("details");
  other.append(Object.assign(document.createElement("summary"), { textContent: "Trouble? Send them with a plain form" }));
  plain.before(other);
  other.append(plain);
  place.hidden = false;
})();
