// What Claude's models take, as far as their names say.

/** https://platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages */
const WITH_INSTRUCTIONS =
  /claude-(opus-4-8|opus-[5-9]|(sonnet|haiku)-5-5|(sonnet|haiku)-[6-9]|fable-[5-9]|mythos-[5-9])/

/** https://platform.claude.com/docs/en/build-with-claude/effort */
const WITHOUT_EFFORT =
  /claude-(instant|[23]|haiku-4|(sonnet|opus)-4(-0|-1)?(-\d{8}|[@:]|$)|opus-4-1|sonnet-4-5|(sonnet|opus|haiku)-3)/

/** Whether a model is known to take messages of the role `system` within a conversation; older ones refuse them. */
export function takesInstructions(model: string): boolean {
  return WITH_INSTRUCTIONS.test(model)
}

/** Whether a model is known to refuse `output_config.effort`. */
export function refusesEffort(model: string): boolean {
  return WITHOUT_EFFORT.test(model)
}
