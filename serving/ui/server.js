// Asks the server that this page came from, in TensorFlow Serving's REST format.

const TRIES = 5;

export class NoAnswer extends Error {}

let about = null;
let asked = 0;

/** Facts of the version that is served now; asked anew after some seconds, for it may be swapped. */
export async function facts() {
  if (!about || Date.now() - asked > 5000) {
    const response = await fetch('about.json', { cache: 'no-store' });
    if (!response.ok) throw new NoAnswer(`HTTP ${response.status}`);
    about = await response.json();
    asked = Date.now();
  }
  return about;
}

const model = (name) => `/v1/models/${encodeURIComponent(name)}`;

/** Names of the model's signatures; none where the server does not tell. */
export async function signatures(name) {
  const response = await fetch(`${model(name)}/metadata`);
  if (!response.ok) return [];
  const told = await response.json();
  return Object.keys(told.metadata?.signature_def?.signature_def ?? {});
}

/** The row of outputs about one file; waits and asks again while the server is overloaded. */
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
      if (!row || typeof row !== 'object') throw new NoAnswer('the server gave no row of outputs');
      return row;
    }
    const passing = !response || [429, 502, 503].includes(response.status);
    if (!passing || attempt === TRIES) throw new NoAnswer(await why(response));
    const told = Number(response?.headers.get('retry-after')) || 0;
    const pause = Math.max(told * 1000, Math.random() * 250 * 2 ** attempt);
    await new Promise((resolve) => setTimeout(resolve, Math.min(pause, 10000)));
  }
}

async function why(response) {
  if (!response) return 'the server cannot be reached';
  const told = await response.json().catch(() => ({}));
  return String(told.error ?? `HTTP ${response.status}`).slice(0, 300);
}

function base64(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(',') + 1));
    reader.onerror = () => reject(new NoAnswer('the file cannot be read'));
    reader.readAsDataURL(file);
  });
}
