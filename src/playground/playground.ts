import type { ChatEvent, FinalChat } from '../client/index.ts'
import { Announcer } from './announcer.ts'
import { AnswerView, follow, type Followed } from './answer-view.ts'
import { Composer, type Question } from './composer.ts'
import { Conversation, type Turn } from './conversation.ts'
import { create, find } from './dom.ts'
import type { Model } from './gateway-info.ts'
import { Reader } from './reader.ts'
import { ReaderActions } from './reader-actions.ts'
import { WireView } from './wire-view.ts'
import { formatCount } from './wording.ts'

/** A reader of the latest answer. */
interface Reading {
  reader: Reader
  followed: Promise<Followed>
}

type Message = FinalChat['message']

/** So near to its end, the conversation follows what comes. */
const FOLLOWS_PX = 40

const QUESTION = 'What does it take to never lose a token?'

/** The page: a conversation on one side, its wire on the other. */
export class Playground {
  readonly #conversation = new Conversation(sessionStorage)
  readonly #announcer = new Announcer(find('announcer', HTMLElement))
  readonly #wire = new WireView()
  readonly #turns = find('turns', HTMLElement)
  readonly #welcome = find('welcome', HTMLElement)
  readonly #scroller = find('conversation', HTMLElement)
  readonly #composer = new Composer({ onSend: (question) => this.#send(question), onStop: () => this.#stop() })
  readonly #actions = new ReaderActions({ onSecond: () => this.#openSecondReader() })
  #scrolling = false
  /** The end is in sight: whoever has scrolled back wants to read. */
  #follows = true
  /** Of the latest turn, the page's own reader first. */
  #readings: Reading[] = []

  constructor() {
    find('new', HTMLButtonElement).addEventListener('click', () => this.#startAnew())
    find('try', HTMLButtonElement).addEventListener('click', () => this.#composer.ask(QUESTION))
    this.#scroller.addEventListener('scroll', () => {
      const { scrollHeight, scrollTop, clientHeight } = this.#scroller
      this.#follows = scrollHeight - scrollTop - clientHeight < FOLLOWS_PX
    })
    addEventListener('hashchange', () => this.open(location.hash))
  }

  set models(models: readonly Model[]) {
    if (models.length > 0) this.#composer.models = models
  }

  /** Joins the stream that the URL's fragment names, if it is not shown already. */
  open(hash: string): void {
    const id = /^#\/([\w-]+)$/.exec(hash)?.[1]
    if (id === undefined || id === this.#conversation.turns.at(-1)?.streamId) return
    this.#clear()
    const turn = this.#conversation.restore(id)
    for (const earlier of this.#conversation.turns.slice(0, -1)) {
      const view = this.#showTurn(earlier)
      view.appendText(earlier.answer)
      view.finish()
    }
    this.#read(turn, Reader.join(id, this.#onChange))
  }

  #send({ text, model, mock }: Question): void {
    this.#leave()
    const turn = this.#conversation.add(text)
    const body = {
      messages: this.#conversation.messages,
      ...(model && { model }),
      // Each turn tells another story.
      ...(mock && { mock: { seed: this.#conversation.turns.length, ...mock } }),
    }
    this.#read(turn, Reader.start(body, this.#onChange))
  }

  /** Shows a turn's answer as it comes. */
  #read(turn: Turn, reader: Reader): void {
    const view = this.#showTurn(turn)
    this.#follows = true
    turn.answer = ''
    this.#announcer.say('Answering.')
    const followed = follow(reader, view, (event) => this.#onEvent(turn, event))
    this.#readings = [{ reader, followed }]
    this.#wire.readers = [reader]
    this.#composer.running = true
    this.#actions.show(reader, turn.streamId)
    this.#scrollToEnd()
    void this.#name(turn, reader)
    void followed.then(({ ending }) => this.#onEnd(reader, ending))
  }

  /** Once the gateway has said what the stream is called, a reload finds it again. */
  async #name(turn: Turn, reader: Reader): Promise<void> {
    const id = await reader.stream.id.catch(() => undefined)
    if (id === undefined || reader.left) return
    turn.streamId = id
    this.#conversation.save()
    history.replaceState(null, '', `#/${id}`)
    this.#actions.show(reader, id)
  }

  #onEvent(turn: Turn, event: ChatEvent): void {
    this.#scrollToEnd()
    if (event.type === 'done' || event.index) return
    turn.answer += event.content ?? ''
    this.#announcer.append(event.content ?? '')
  }

  #onEnd(reader: Reader, ending: string): void {
    if (reader.left) return
    this.#announcer.say(` The answer is over: ${ending}.`)
    this.#conversation.save()
    this.#composer.running = false
    this.#actions.showEnd()
    this.#scrollToEnd()
  }

  readonly #onChange = () => this.#wire.changed()

  #openSecondReader(): void {
    const [first] = this.#readings
    const turn = this.#conversation.turns.at(-1)
    if (!first || !turn?.streamId || this.#readings.length > 1) return
    const reader = Reader.join(turn.streamId, this.#onChange)
    const view = new AnswerView('Second reader')
    this.#turns.lastElementChild?.querySelector('.answers')?.append(view.element)
    const second = { reader, followed: follow(reader, view, () => this.#scrollToEnd()) }
    this.#readings = [first, second]
    this.#wire.readers = [first.reader, reader]
    this.#announcer.say(' A second reader has joined.')
    void this.#compare(first, second)
  }

  /** Says, when both have ended, whether they have the same answer. */
  async #compare(first: Reading, second: Reading): Promise<void> {
    const [one, other] = await Promise.all([first.followed, second.followed])
    if (!one.final || !other.final || this.#readings[1] !== second) return
    const verdict = create('p', 'verdict', compare(one.final.message, other.final.message))
    this.#turns.lastElementChild?.append(verdict)
    this.#scrollToEnd()
  }

  #stop(): void {
    // Whether it worked is told by the stream itself.
    this.#readings[0]?.reader.stream.cancel().catch(() => {})
  }

  #startAnew(): void {
    this.#clear()
    this.#wire.readers = []
    this.#actions.show(undefined, undefined)
    this.#composer.running = false
    history.replaceState(null, '', location.pathname)
    this.#composer.focus()
  }

  #clear(): void {
    this.#leave()
    this.#conversation.clear()
    this.#turns.replaceChildren()
    this.#welcome.hidden = false
  }

  #leave(): void {
    for (const { reader } of this.#readings) reader.leave()
    this.#readings = []
  }

  #showTurn({ question }: Turn): AnswerView {
    this.#welcome.hidden = true
    const view = new AnswerView('Answer')
    const asked =
      question === undefined
        ? create('p', 'joined', 'Joined a stream that another page started: its question is not part of it.')
        : create('div', 'question', create('h3', 'unseen', 'You'), create('p', 'text', question))
    this.#turns.append(create('article', 'turn', asked, create('div', 'answers', view.element)))
    return view
  }

  /** Before the next frame is painted: a layout for each token would take all the time there is. */
  #scrollToEnd(): void {
    if (this.#scrolling) return
    this.#scrolling = true
    requestAnimationFrame(() => {
      this.#scrolling = false
      if (this.#follows) this.#scroller.scrollTop = this.#scroller.scrollHeight
    })
  }
}

/** Whoever reads a stream, however its connections fared, has the same of it. */
function compare(one: Message, other: Message): string {
  if (JSON.stringify(one) !== JSON.stringify(other)) return 'The two readers have different answers.'
  return `Both readers have the same answer, all ${formatCount(one.content?.length ?? 0)} characters of it.`
}
