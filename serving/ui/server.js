// Requests to the server of this page, in TensorFlow Serving's REST format.

const MAX_ATTEMPTS = 5;

export class RequestError extends Error {}

let about = null;
let fetched = 0;

/** Returns information about the served version; cached for five seconds, because it may change. */
export async function modelInfo() {
  if (!about || Date.now() - fetched > 5000) {
    const response = await fetch('about.json', { cache: 'no-store' });
    if (!response.ok) throw new RequestError(`HTTP ${response.status}`);
    about = await response.json();
    fetched = Date.now();
  }
  return about;
}

const model = (name) => `/v1/models/${encodeURIComponent(name)}`;

/** Returns the names of the model's signatures; empty if the server does not provide them. */
export async function signatures(name) {
  const response = await fetch(`${model(name)}/metadata`);
  if (!response.ok) return [];
  const content = await response.json();
  return Object.keys(content.metadata?.signature_def?.signature_def ?? {});
}

/** Returns the outputs for one file; retries while the server is overloaded. */
export async function predict(name, file, signature = 'serving_default') {
  const body = JSON.stringify({ signature_name: signature, instances: [{ b64: await base64(file) }] });
  for (let attempt = 1; ; attempt += 1) {
    let response;
    try {
      response = await fetch(`${model(name)}:predict`, {
        method: 'POST', body, headers: { 'content-type': 'application/json' },
      });
    } catch {
      response = null; // no connection
    }
    if (response?.ok) {
      const row = (await response.json()).predictions?.[0];
      if (!row || typeof row !== 'object') throw new RequestError('the server returned no prediction');
      return row;
    }
    const transient = !response || [429, 502, 503].includes(response.status);
    if (!transient || attempt === MAX_ATTEMPTS) throw new RequestError(await reasonOf(response));
    const retryAfter = Number(response?.headers.get('retry-after')) || 0;
    const pause = Math.max(retryAfter * 1000, Math.random() * 250 * 2 ** attempt);
    await new Promise((resolve) => setTimeout(resolve, Math.min(pause, 10000)));
  }
}

/** Whether a file is DICOM, by its suffix or its signature. */
export async function isDicom(file) {
  return /\.(dcm|dicom)$/i.test(file.name) || (await file.slice(128, 132).text()) === 'DICM';
}

/** Returns the pixels of a DICOM file as `png`, or why the file is rejected as `error`. */
export async function renderDicom(file) {
  const response = await fetch('dicom', { method: 'POST', body: file }).catch(() => null);
  if (response?.ok) return { png: await response.blob() };
  const error = await reasonOf(response);
  if (response?.status === 422) return { error };
  throw new RequestError(error);
}

async function reasonOf(response) {
  if (!response) return 'the server is unreachable';
  const content = await response.json().catch(() => ({}));
  return String(content.error ?? `HTTP ${response.status}`).slice(0, 300);
}

function base64(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(',') + 1));
    reader.onerror = () => reject(new RequestError('the file cannot be read'));
    reader.readAsDataURL(file);
  });
}
