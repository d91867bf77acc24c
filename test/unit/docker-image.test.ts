import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'

const read = (name: string) => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8')

it('the image runs what `npm start` runs', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: { start: string } }
  const [, command = ''] = /^CMD (.*)$/m.exec(read('Dockerfile')) ?? []
  expect(JSON.parse(command)).toEqual(scripts.start.split(' '))
})
