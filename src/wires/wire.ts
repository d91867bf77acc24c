/** The format in which an upstream speaks. A client whose protocol has the same wire gets answers as they came. */
export type Wire = 'openai' | 'anthropic'
