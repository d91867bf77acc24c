import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import { findPackage, resolvePackage } from '../../providers/packages.ts'

/** A folder with these packages, by name, each with some files. */
function install(manifests: Record<string, unknown>): string {
  const root = mkdtempSync(join(tmpdir(), 'sluice-test-'))
  onTestFinished(() => rmSync(root, { recursive: true, force: true }))
  for (const [name, manifest] of Object.entries(manifests)) {
    const folder = join(root, 'node_modules', name)
    mkdirSync(join(folder, 'lib/deep'), { recursive: true })
    for (const file of ['index.js', 'main.js', 'lib/a.js', 'lib/deep/b.js']) writeFileSync(join(folder, file), '')
    if (manifest !== undefined) writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest))
  }
  return root
}

function resolveHere(specifier: string, from: string): string | undefined {
  const found = findPackage(specifier, from)
  if (!found) return undefined
  try {
    return resolvePackage(found)
  } catch {
    return undefined
  }
}

/** What Node itself resolves these to, from a module in that folder. */
function resolveInNode(specifiers: readonly string[], cwd: string): (string | undefined)[] {
  const script = `
    const resolve = (name) => { try { return import.meta.resolve(name) } catch { return null } }
    console.log(JSON.stringify(${JSON.stringify(specifiers)}.map(resolve)))`
  const output = execFileSync(process.execPath, ['--no-warnings', '--input-type=module', '-e', script], { cwd })
  const resolved: (string | null)[] = JSON.parse(output.toString())
  return resolved.map((url) => url ?? undefined)
}

function expectAsNode(specifiers: string[], folder: string): void {
  const resolved = specifiers.map((specifier) => [specifier, resolveHere(specifier, folder)])
  const expected = resolveInNode(specifiers, folder)
  expect(resolved).toEqual(specifiers.map((specifier, i) => [specifier, expected[i]]))
}

describe('a package is resolved as Node resolves it', () => {
  it('with a main, without one, without a manifest', () => {
    const folder = install({ a: { main: 'main.js' }, b: {}, '@scope/c': undefined, d: { main: './lib/a' } })
    expectAsNode(['a', 'a/lib/a.js', 'b', 'b/lib/deep/b.js', '@scope/c', '@scope/c/main.js', 'd', 'none'], folder)
    expect(resolveHere('none', folder)).toBeUndefined()
    expect(resolveHere('@scope/c', folder)).toMatch(/@scope\/c\/index\.js$/)
  })

  it('from folders below, and through symbolic links', () => {
    const folder = install({ a: { exports: './main.js' } })
    const below = join(folder, 'some/project')
    mkdirSync(join(below, 'node_modules'), { recursive: true })
    symlinkSync(join(folder, 'node_modules/a'), join(below, 'node_modules/linked'))
    expectAsNode(['a', 'linked'], below)
    expect(resolveHere('linked', below)).toMatch(/node_modules\/a\/main\.js$/)
  })

  it('with any exports', () => {
    const path = fc.constantFrom('./index.js', './lib/a.js', './lib/*', './lib/*.js', '../outside.js', 'lib/a.js')
    const condition = fc.constantFrom('import', 'require', 'node', 'module-sync', 'browser', 'default')
    const subpath = fc.constantFrom('.', './a', './lib/*', './lib/deep/*', './*', './*.js', './lib/*.js', './lib/')
    const { target } = fc.letrec((tie) => ({
      target: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        { arbitrary: path, weight: 4 },
        { arbitrary: fc.constant(null), weight: 1 },
        { arbitrary: fc.dictionary(condition, tie('target'), { maxKeys: 3 }), weight: 2 },
        { arbitrary: fc.array(tie('target'), { maxLength: 2 }), weight: 1 },
      ),
    }))
    const exports = fc.sample(fc.oneof(target, fc.dictionary(subpath, target, { maxKeys: 4 })), 300)
    const folder = install(Object.fromEntries(exports.map((each, i) => [`p${i}`, { exports: each }])))
    const paths = ['', '/a', '/lib/a', '/lib/a.js', '/lib/deep/b.js', '/other.js']
    expectAsNode(
      exports.flatMap((_, i) => paths.map((each) => `p${i}${each}`)),
      folder,
    )
  })
})
