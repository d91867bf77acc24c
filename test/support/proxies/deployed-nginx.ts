import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFolder, ROOT } from '../process.ts'
import { startProxy } from './start-proxy.ts'

/** Workers of a root's nginx are nobody, who may not enter the folder of a test. */
const GLOBALS = `daemon off;${process.getuid?.() === 0 ? ' user root;' : ''}`

/** `deploy/nginx.conf`, with other addresses and paths. @throws when one of them is not there to be replaced */
export function deployedConfiguration(
  port: number,
  [first, second]: readonly [string, string],
  folder: string,
): string {
  const replacements = [
    ['/tmp/', `${folder}/`],
    ['/dev/stdout', `${folder}/access.log`],
    ['error_log stderr', `error_log ${folder}/error.log`],
    ['listen 8080', `listen 127.0.0.1:${port}`],
    ['server sluice-1:8080', `server ${new URL(first).host}`],
    ['server sluice-2:8080', `server ${new URL(second).host}`],
  ] as const
  return replacements.reduce(
    (text, [from, to]) => {
      if (!text.includes(from)) throw new Error(`deploy/nginx.conf has no ${from}`)
      return text.replaceAll(from, to)
    },
    readFileSync(join(ROOT, 'deploy/nginx.conf'), 'utf8'),
  )
}

/** nginx as `deploy/nginx.conf` has it, in front of two nodes. */
export async function startDeployedNginx(program: string, nodes: readonly [string, string]) {
  const folder = await makeFolder()
  const url = await startProxy(program, (port) => ({
    files: { 'nginx.conf': deployedConfiguration(port, nodes, folder) },
    args: () => ['-p', '.', '-c', 'nginx.conf', '-g', GLOBALS],
  }))
  return {
    url: new URL(url).origin,
    /** Everything it has logged so far. */
    log: async () =>
      (await Promise.all(['access.log', 'error.log'].map((name) => readFile(join(folder, name), 'utf8')))).join(''),
  }
}
