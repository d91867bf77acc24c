import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { pages } from '../support/pages.ts'

const read = (name: string) => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8')

it('the image runs what `npm start` runs', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: { start: string } }
  const [, command = ''] = /^CMD (.*)$/m.exec(read('Dockerfile')) ?? []
  expect(JSON.parse(command)).toEqual(scripts.start.split(' '))
})

it('the image refuses to start without callers: nothing in it lets everybody in', () => {
  expect(read('Dockerfile')).toMatch(/HOST=0\.0\.0\.0/)
  expect(read('Dockerfile')).not.toMatch(/ALLOW_ANONYMOUS|SLUICE_KEYS/)
})

it('what readers copy from a page into a shell publishes the image to this machine only', () => {
  const commands = pages.flatMap(({ text }) => text.match(/docker run -[^`\n]*/g) ?? [])
  expect(commands.length).toBeGreaterThan(0)
  for (const command of commands) expect(command).toMatch(/-p 127\.0\.0\.1:8080:8080/)
  expect(read('compose.yaml')).toMatch(/ports: \['127\.0\.0\.1:8080:8080'\]/)
})
