import { createElement } from 'react'
import { renderToString } from 'react-dom/server'
import { expect, it } from 'vitest'
import { useSluiceStream } from '../../src/react/index.ts'
import { clientOf } from './harness.ts'

it('the hook renders on a server, where it reads nothing', () => {
  const client = clientOf({ url: 'http://gateway' })
  const Answer = () => {
    const { status, message } = useSluiceStream(client)
    return createElement('p', null, status, message?.content)
  }
  expect(renderToString(createElement(Answer))).toBe('<p>idle</p>')
})
