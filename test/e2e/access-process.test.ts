import { expect, it } from 'vitest'
import { makeFolder, spawnSluice, startSluice } from '../support/process.ts'
import { open } from '../support/reader.ts'

it('"sluice key create" prints a key, and the entry that lets it in', async () => {
  const created = await spawnSluice({ args: ['key', 'create', 'my-app'] })
  expect(await created.exited).toBe(0)
  const { stdout } = created.output()
  const [key] = /slk_[\w-]+/.exec(stdout) ?? []
  const cwd = await makeFolder({ 'sluice.yaml': stdout })
  const sluice = await startSluice({ cwd })
  const statusWith = async (token: string) =>
    (await open(`${sluice.url}/v1/models`, { headers: { authorization: `Bearer ${token}` } })).status
  expect([await statusWith(key!), await statusWith('slk_other')]).toEqual([200, 401])
  const { stdout: lines, stderr } = sluice.output()
  expect(lines + stderr).not.toContain(key)
})

it.each([['key'], ['key', 'delete'], ['key', 'create', 'a b'], ['key', 'create', 'a', 'b'], ['serve']])(
  'refuses another command: %s %s %s',
  async (...args) => {
    const refused = await spawnSluice({ args })
    expect(await refused.exited).toBe(1)
    expect(refused.output().stderr).toMatch(/^sluice: /)
  },
)

it('refuses to start where other machines can reach it and spend its keys, and says what to set', async () => {
  const refused = await spawnSluice({ env: { HOST: '0.0.0.0' } })
  expect(await refused.exited).toBe(1)
  expect(refused.output().stderr).toContain('set SLUICE_KEYS=name:key, or ALLOW_ANONYMOUS=true')
  expect(
    (await open((await startSluice({ env: { HOST: '0.0.0.0', ALLOW_ANONYMOUS: 'true' } })).url + '/healthz')).status,
  ).toBe(200)
})
