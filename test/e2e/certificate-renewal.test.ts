import { once } from 'node:events'
import { copyFile, readFile, rename, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { expect, it, onTestFinished } from 'vitest'
import { startGateway } from '../support/gateway.ts'
import { makeFolder } from '../support/process.ts'
import { chat } from '../support/reader.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'
import { TLS } from '../support/tls.ts'

const fixture = (name: string) => new URL(`../fixtures/tls/${name}`, import.meta.url)

/** Valid until then, in seconds. */
const FIRST = Date.parse('2124-01-01T00:00:00Z') / 1000
const RENEWED = Date.parse('2125-01-01T00:00:00Z') / 1000

/** When the certificate expires that new connections see. */
async function expirySeen(url: string): Promise<number> {
  const { hostname, port } = new URL(url)
  // Which certificate it is matters, not who vouches for it.
  const socket = connect({ host: hostname, port: Number(port), rejectUnauthorized: false })
  onTestFinished(() => void socket.destroy())
  await once(socket, 'secureConnect')
  return Date.parse(socket.getPeerCertificate().valid_to) / 1000
}

async function setUp(files: { tlsCert: string; tlsKey: string }) {
  const provider = new ScriptedProvider()
  const gateway = await startGateway({ ...files, adminPort: 0 }, { providers: [provider], certificateLookMs: 20 })
  const reader = await chat(gateway.url, { model: 'scripted' })
  const run = await provider.nextRun()
  run.text('one ')
  await reader.until(({ text }) => text === 'one ')
  return { gateway, reader, run, logs: (message: string) => gateway.logs.filter(({ msg }) => msg === message) }
}

it('a renewed certificate is shown to new connections, while old streams go on', async () => {
  const folder = await makeFolder()
  const files = { tlsCert: join(folder, 'cert.pem'), tlsKey: join(folder, 'key.pem') }
  await copyFile(TLS.tlsCert, files.tlsCert)
  await copyFile(TLS.tlsKey, files.tlsKey)
  const { gateway, reader, run, logs } = await setUp(files)
  expect(await expirySeen(gateway.url)).toBe(FIRST)
  expect(await gateway.metric('sluice_certificate_expires_timestamp_seconds')).toBe(FIRST)

  // A certificate without its key, or half of one, is not shown.
  await writeFile(files.tlsCert, (await readFile(fixture('renewed-cert.pem'), 'utf8')).slice(0, 100))
  await expect.poll(() => logs('certificate not renewed').length).toBe(1)
  await copyFile(fixture('renewed-cert.pem'), files.tlsCert)
  await expect.poll(() => logs('certificate not renewed').length).toBe(2)
  expect(logs('certificate not renewed')).toMatchObject([
    { faults: [{ path: 'TLS_CERT' }] },
    { faults: [{ path: 'TLS_KEY' }] },
  ])
  expect(await expirySeen(gateway.url)).toBe(FIRST)

  await copyFile(fixture('renewed-key.pem'), files.tlsKey)
  await expect.poll(() => logs('certificate renewed')).toMatchObject([{ expires: '2125-01-01T00:00:00.000Z' }])
  expect(await expirySeen(gateway.url)).toBe(RENEWED)
  expect(await expirySeen(gateway.adminUrl!)).toBe(RENEWED)
  expect(await gateway.metric('sluice_certificate_expires_timestamp_seconds')).toBe(RENEWED)

  run.text('two')
  run.done()
  await reader.end()
  expect([reader.text, reader.complete]).toEqual(['one two', true])
})

it('a certificate is renewed when its folder is exchanged, as Kubernetes does it', async () => {
  const folder = await makeFolder()
  const make = async (name: string, cert: URL | string, key: URL | string) => {
    await copyFile(cert, join(folder, `${name}.crt`))
    await copyFile(key, join(folder, `${name}.key`))
  }
  await make('first', TLS.tlsCert, TLS.tlsKey)
  await make('second', fixture('renewed-cert.pem'), fixture('renewed-key.pem'))
  const point = async (link: string, target: string) => {
    await symlink(target, join(folder, `new-${link}`))
    await rename(join(folder, `new-${link}`), join(folder, link))
  }
  await point('tls.crt', 'first.crt')
  await point('tls.key', 'first.key')
  const { gateway, logs } = await setUp({ tlsCert: join(folder, 'tls.crt'), tlsKey: join(folder, 'tls.key') })
  await point('tls.crt', 'second.crt')
  await point('tls.key', 'second.key')
  await expect.poll(() => logs('certificate renewed').length).toBe(1)
  expect(await expirySeen(gateway.url)).toBe(RENEWED)
})

it('a reload shows the certificate of other files', async () => {
  const { gateway } = await setUp(TLS)
  const { config } = gateway.services
  const renewed = {
    tlsCert: fixture('renewed-cert.pem').pathname,
    tlsKey: fixture('renewed-key.pem').pathname,
  }
  await gateway.reload({ ...config, ...renewed })
  expect(await expirySeen(gateway.url)).toBe(RENEWED)
})
