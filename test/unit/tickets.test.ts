import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Tickets } from '../../src/access/tickets.ts'

const ID = 'str_0123456789abcdef0123456789abcdef'

describe('a ticket', () => {
  it('opens its stream with its scope until it expires', () => {
    let now = 1_000_000
    const tickets = new Tickets([], () => now)
    const { ticket, expires } = tickets.issue(ID, 'read', 60_000)
    expect(expires).toBe(1_060_000)
    expect(tickets.check(ticket, ID)).toEqual({ stream: ID, scope: 'read' })
    expect(tickets.check(tickets.issue(ID, 'cancel', 60_000).ticket, ID).scope).toBe('cancel')
    now = 1_060_000
    expect(() => tickets.check(ticket, ID)).toThrow('The ticket has expired.')
  })

  it('is worth nothing for another stream, or once anything in it has changed', () => {
    const tickets = new Tickets()
    fc.assert(
      fc.property(
        fc.constantFrom('read', 'cancel'),
        fc.nat(),
        fc.string({ minLength: 1, maxLength: 1 }),
        (scope, at, other) => {
          const { ticket } = tickets.issue(ID, scope, 60_000)
          const i = at % ticket.length
          const changed = ticket.slice(0, i) + other + ticket.slice(i + 1)
          // The last character holds two bits that mean nothing.
          fc.pre(changed.slice(0, -1) !== ticket.slice(0, -1))
          expect(() => tickets.check(changed, ID)).toThrow('not valid')
          expect(() => tickets.check(ticket, `${ID.slice(0, -1)}0`)).toThrow('not valid')
        },
      ),
    )
  })

  it.each(['', 'r', 'r1.', '.', 'x1.AAAA', 'r'.repeat(10_000)])('cannot be %j', (ticket) => {
    expect(() => new Tickets().check(ticket, ID)).toThrow('not valid')
  })

  it('is accepted by every process with the secret, also after another secret has taken its place', () => {
    const old = new Tickets(['first'])
    const { ticket } = old.issue(ID, 'read', 60_000)
    expect(new Tickets(['first']).check(ticket, ID).scope).toBe('read')
    expect(new Tickets(['second', 'first']).check(ticket, ID).scope).toBe('read')
    expect(() => new Tickets(['second']).check(ticket, ID)).toThrow('not valid')
    expect(() => new Tickets().check(ticket, ID)).toThrow('not valid')
    // The new secret signs.
    expect(
      new Tickets(['second']).check(new Tickets(['second', 'first']).issue(ID, 'read', 60_000).ticket, ID).scope,
    ).toBe('read')
  })
})
