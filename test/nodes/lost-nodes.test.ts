import { expect, it } from 'vitest'
import { describeWith } from '../support/programs.ts'
import { startNodes } from '../support/gateway-nodes.ts'
import { logged } from '../support/process.ts'
import { chat, open, resume, type Reader } from '../support/reader.ts'

const ENDLESS = { mock: { text: 'word '.repeat(20_000), interval_ms: 5 } }
const LOST = { finish_reason: 'error', error: { code: 'producer_lost', retryable: true } }

const hasText = ({ text }: Reader) => text.length > 100
const idsOf = ({ messages }: Reader) => messages.map(({ id }) => Number(id))
const isAscending = (ids: number[]) => ids.every((id, i) => i === 0 || id > (ids[i - 1] ?? 0))

describeWith('redis', 'a node that is lost', () => {
  it('leaves every follower with all that was stored, and an end that a client can retry', async () => {
    const [owner, second, third] = await startNodes(3)
    const local = await (await chat(owner!.url, ENDLESS)).until(hasText)
    const followers = [await resume(second!.url, local.id), await resume(third!.url, local.id)]
    for (const each of followers) await each.until(hasText)
    owner!.kill('SIGKILL')
    for (const each of [...followers, local]) await each.end()
    for (const each of followers) {
      expect(each.dones).toMatchObject([LOST])
      expect(isAscending(idsOf(each))).toBe(true)
    }
    const [text = ''] = followers.map((each) => each.text)
    expect(followers.map((each) => each.text)).toEqual([text, text])
    expect([local.text.startsWith(text) || text.startsWith(local.text), local.dones]).toEqual([true, []])
    // A reader of the lost node resumes after the last event it saw, stored or not.
    const resumed = await (await resume(second!.url, local.id, idsOf(local).at(-1))).end()
    expect(resumed.dones).toMatchObject([LOST])
    expect(local.text + resumed.text === text || resumed.text === '').toBe(true)
    expect(isAscending([...idsOf(local), ...idsOf(resumed)])).toBe(true)
    const again = await (await resume(third!.url, local.id)).end()
    expect([again.text, again.ids.at(-1)]).toEqual([text, followers[0]!.ids.at(-1)])
  })

  it('is found out by whoever asks for its stream, though nobody followed it', async () => {
    const [owner, other] = await startNodes(2)
    const local = await (await chat(owner!.url, ENDLESS, { headers: { 'idempotency-key': 'k' } })).until(hasText)
    owner!.kill('SIGKILL')
    await local.end()
    const reader = await (await resume(other!.url, local.id)).end()
    expect(reader.dones).toMatchObject([LOST])
    // Its key is free for another try.
    const retried = await chat(other!.url, ENDLESS, { headers: { 'idempotency-key': 'k' } })
    expect(retried.id).not.toBe(local.id)
  })

  it('shows nothing more once it was paused for longer than its lease', async () => {
    const [owner, other] = await startNodes(2)
    const local = await (await chat(owner!.url, ENDLESS)).until(hasText)
    const follower = await (await resume(other!.url, local.id)).until(hasText)
    owner!.kill('SIGSTOP')
    await follower.end()
    const seen = local.text
    owner!.kill('SIGCONT')
    await logged(owner!, 'this node was paused for longer than its lease: its streams are given up')
    await local.end()
    expect(follower.dones).toMatchObject([LOST])
    // Bytes that were in the socket when the process stopped still arrive.
    expect([local.dones, local.text.startsWith(seen)]).toEqual([[], true])
    for (const node of [owner!, other!]) {
      const whole = await (await resume(node.url, local.id)).end()
      expect([whole.text, whole.dones]).toEqual([follower.text, follower.dones])
      const rest = await (await resume(node.url, local.id, local.ids.at(-1))).end()
      expect(rest.dones).toEqual(follower.dones)
    }
    // It is a node like any other again.
    const next = await (await chat(owner!.url, { mock: { text: 'a b', interval_ms: 1 } })).end()
    expect((await (await resume(other!.url, next.id)).end()).text).toBe('a b')
  })

  it('loses nothing when it is told to stop', async () => {
    const [owner, other] = await startNodes(2, { env: { DRAIN_MS: '20000' } })
    const fields = { mock: { text: 'word '.repeat(200), interval_ms: 10 } }
    const readers = await Promise.all(Array.from({ length: 10 }, () => chat(owner!.url, fields)))
    const followers = await Promise.all(readers.map(({ id }) => resume(other!.url, id)))
    for (const each of followers) await each.until(hasText)
    owner!.kill('SIGTERM')
    for (const each of [...readers, ...followers]) {
      await each.end()
      expect([each.text, each.dones]).toMatchObject(['word '.repeat(200), [{ finish_reason: 'stop' }]])
    }
    expect(await owner!.exited).toBe(0)
    for (const { id } of readers) expect((await (await resume(other!.url, id)).end()).text).toBe('word '.repeat(200))
  })

  it('ends what it cannot finish in time with gateway_shutdown, for all nodes', async () => {
    const [owner, other] = await startNodes(2, { env: { DRAIN_MS: '100' } })
    const headers = { 'idempotency-key': 'k' }
    const local = await (await chat(owner!.url, ENDLESS, { headers })).until(hasText)
    const follower = await (await resume(other!.url, local.id)).until(hasText)
    owner!.kill('SIGTERM')
    for (const each of [local, follower]) {
      await each.end()
      expect(each.dones).toMatchObject([{ error: { code: 'gateway_shutdown', retryable: true } }])
    }
    expect(follower.text).toBe(local.text)
    await owner!.exited
    const again = await (await resume(other!.url, local.id)).end()
    expect([again.text, again.dones]).toEqual([local.text, local.dones])
    expect((await chat(other!.url, ENDLESS, { headers })).id).not.toBe(local.id)
    expect((await open(`${other!.url}/readyz`)).status).toBe(200)
  })
})
