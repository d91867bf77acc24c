import type { Listening } from './workers/methods.ts'

/** Tells a newcomer where the gateway is, with commands that work as they are. */
export function banner(listening: Listening, hasPlayground: boolean): string {
  const { isOpen, model } = listening
  const url = reachable(listening.url)
  // The certificate need not name this machine.
  const curl = `curl${url.startsWith('https:') ? ' -k' : ''}`
  const key = isOpen ? '' : ` -H "authorization: Bearer $SLUICE_KEY"`
  const named = model === '' ? '' : `"model":${JSON.stringify(model ?? '…')},`
  const choice = model === undefined ? `  ${curl} ${url}/v1/models${key}\n\nWith one of these models:\n\n` : ''
  return `
Sluice listens on ${listening.url}. Try:

${choice}  ${curl} -N ${url}/v1/chat${key} -H 'content-type: application/json' -d '{${named}"messages":[{"role":"user","content":"hi"}]}'

${hasPlayground ? `Or open ${reachable(listening.adminUrl ?? listening.url)} in a browser.\n\n` : ''}Or give an SDK this base URL:

  OpenAI      ${url}/v1
  Anthropic   ${url}

`
}

/** Some systems do not connect to the address that stands for all. */
function reachable(url: string): string {
  return url.replace(/\/\/(?:0\.0\.0\.0|\[::\])(?=:)/, '//localhost')
}
