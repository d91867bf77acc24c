import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cp, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ROOT } from './process.ts'

const run = promisify(execFile)

/**
 * A copy of an example that has packages of its own, with these installed, some in other versions; undefined when they
 * cannot be, which is said aloud. The copy is kept for later runs, until its `package.json` changes.
 */
export async function installExample(
  folder: string,
  versions: Record<string, string> = {},
): Promise<string | undefined> {
  const source = join(ROOT, 'examples', folder)
  const manifest = JSON.parse(await readFile(join(source, 'package.json'), 'utf8'))
  Object.assign(manifest.dependencies, versions)
  const json = JSON.stringify(manifest)
  const hash = createHash('sha256').update(json).digest('hex').slice(0, 16)
  const packages = join(tmpdir(), `sluice-${folder}-${hash}`)
  try {
    if (!(await stat(packages).catch(() => undefined))) await install(json, packages)
    await cp(source, packages, { recursive: true, filter: (path) => path !== join(source, 'package.json') })
    return packages
  } catch {
    process.stderr.write(
      `\n!! The packages of examples/${folder} cannot be installed: its suite ${process.env.CI ? 'FAILS' : 'DOES NOT RUN'}.\n\n`,
    )
    return undefined
  }
}

async function install(json: string, target: string): Promise<void> {
  const folder = `${target}-${process.pid}`
  await mkdir(folder, { recursive: true })
  try {
    await writeFile(join(folder, 'package.json'), json)
    await run('npm', ['install', '--no-package-lock', '--no-audit', '--no-fund', '--ignore-scripts'], {
      cwd: folder,
      timeout: 120_000,
    })
    await rename(folder, target)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

export async function buildExample(folder: string): Promise<void> {
  await run(join(folder, 'node_modules/.bin/vite'), ['build', '--logLevel', 'error'], { cwd: folder })
}
