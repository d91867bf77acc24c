import { execFile } from 'node:child_process'
import { cp, mkdir, readFile, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { expect, it } from 'vitest'
import { makeFolder, ROOT } from '../support/process.ts'

interface Manifest {
  version: string
  dependencies: Record<string, string>
}

const manifest = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as Manifest

/** What `npm ci --omit=dev` leaves of a checkout, built or not. */
async function prunedTree({ isBuilt }: { isBuilt: boolean }): Promise<string> {
  const folder = await makeFolder()
  for (const name of ['package.json', 'prestart.js']) await cp(join(ROOT, name), join(folder, name))
  for (const name of Object.keys(manifest.dependencies)) {
    const place = join(folder, 'node_modules', name)
    await mkdir(dirname(place), { recursive: true })
    await symlink(join(ROOT, 'node_modules', name), place)
  }
  if (isBuilt) await cp(join(ROOT, 'dist'), join(folder, 'dist'), { recursive: true })
  return folder
}

function start(cwd: string): Promise<{ code: unknown; stdout: string; stderr: string }> {
  return new Promise((resolve) =>
    execFile('npm', ['start', '--silent', '--', '--version'], { cwd }, (error, stdout, stderr) =>
      resolve({ code: error?.code ?? 0, stdout, stderr }),
    ),
  )
}

it('npm start starts a built tree that has no compiler', async () => {
  const { code, stdout } = await start(await prunedTree({ isBuilt: true }))
  expect([code, stdout]).toEqual([0, `${manifest.version}\n`])
})

it('npm start says what to run in a tree that has neither a build nor a compiler', async () => {
  const { code, stdout, stderr } = await start(await prunedTree({ isBuilt: false }))
  expect([code, stdout]).toEqual([1, ''])
  expect(stderr).toContain('sluice: dist/ has not been built. Run "npm ci && npm run build" once')
})
