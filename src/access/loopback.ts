// Which host names stand for this machine.

/** `host` or `host:port`, without any other part of a URL. */
const HOST = /^(?:\[[\da-f:.]+\]|[\w.-]+)(?::\d*)?$/i

/** The name in lower case, without the port; empty when there is none. */
export function nameOf(host: string): string {
  const url = `http://${host}`
  return HOST.test(host) && URL.canParse(url) ? new URL(url).hostname.replace(/\.$/, '') : ''
}

/** Names as `URL` writes them. https://www.rfc-editor.org/rfc/rfc6761.html#section-6.3 */
export function isLoopback(name: string): boolean {
  return /^(localhost|.+\.localhost|127\.\d+\.\d+\.\d+|\[::1\]|\[::ffff:7f[\da-f]{2}:[\da-f]+\])$/.test(name)
}

/** Whether only this machine can reach a gateway on this host, in any spelling. */
export function listensOnLoopback(host: string): boolean {
  return isLoopback(nameOf(host.includes(':') ? `[${host}]` : host))
}
