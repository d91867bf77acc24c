import { execFile } from 'node:child_process'
import { cp, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { promisify } from 'node:util'
import { makeFolder, ROOT, type AtEnd } from './process.ts'

const run = promisify(execFile)

export interface Packed {
  /** The paths of the tarballs. */
  sluice: string
  client: string
}

/** Packs both packages: the server's from the build that the tests have, the client's as a release does, in a copy. */
export async function packBoth(atEnd: AtEnd): Promise<Packed> {
  const [copy, tarballs] = await Promise.all([makeFolder({}, atEnd), makeFolder({}, atEnd)])
  const sources = ['client', 'src', 'package.json', 'tsconfig.json']
  await Promise.all(sources.map((path) => cp(join(ROOT, path), join(copy, path), { recursive: true })))
  await symlink(join(ROOT, 'node_modules'), join(copy, 'node_modules'))
  const pack = (cwd: string, ...args: string[]) =>
    run('npm', ['pack', '--pack-destination', tarballs, ...args], { cwd })
  await Promise.all([pack(ROOT, '--ignore-scripts'), pack(join(copy, 'client'))])
  const paths = (await readdir(tarballs)).map((name) => join(tarballs, name))
  const client = paths.find((path) => path.includes('sluice-client-')) ?? ''
  return { client, sluice: paths.find((path) => path !== client) ?? '' }
}

/** The text of each file in a tarball, by its path in the package. */
export async function unpack(tarball: string, atEnd: AtEnd): Promise<Map<string, string>> {
  const folder = await makeFolder({}, atEnd)
  await run('tar', ['xzf', tarball, '--strip-components=1', '-C', folder])
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const paths = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name))
  const files = paths.map(async (path) => [relative(folder, path), await readFile(path, 'utf8')] as const)
  return new Map(await Promise.all(files))
}

/** An empty folder outside the checkout, in which somebody has installed these packages. */
export async function install(packages: string[], atEnd: AtEnd): Promise<string> {
  const folder = await makeFolder({}, atEnd)
  await writeFile(join(folder, 'package.json'), '{ "private": true }')
  await npmInstall(folder, packages)
  return folder
}

export async function npmInstall(folder: string, packages: string[]): Promise<void> {
  await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', ...packages], { cwd: folder })
}

/** `name@version`, as this checkout has it. */
export async function pinned(...names: string[]): Promise<string[]> {
  const manifest: Record<string, Record<string, string>> = JSON.parse(
    await readFile(join(ROOT, 'package.json'), 'utf8'),
  )
  const versions = { ...manifest.devDependencies, ...manifest.dependencies }
  return names.map((name) => `${name}@${versions[name]}`)
}
