// The Lua scripts of the Redis backplane. Redis runs each one atomically, on keys of one slot.

import { createHash } from 'node:crypto'

export interface Script {
  readonly lua: string
  readonly sha: string
}

function script(lua: string): Script {
  return { lua, sha: createHash('sha1').update(lua).digest('hex') }
}

/** The time of Redis is the only one that all nodes share. */
const NOW = `local t = redis.call('TIME'); local now = t[1] * 1000 + math.floor(t[2] / 1000)`

/** KEYS: head, kept. ARGV: info, lease, runningMs, kept or ''. */
export const CREATE_STREAM = script(`
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('HSET', KEYS[1], 'info', ARGV[1], 'lease', ARGV[2], 'last', 0)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
if ARGV[4] ~= '' then redis.call('SET', KEYS[2], ARGV[4], 'PX', ARGV[3]) end
return 1`)

/** KEYS: head, kept. */
export const FIND_STREAM = script(`
local h = redis.call('HMGET', KEYS[1], 'info', 'lease', 'last', 'until')
if not h[1] then return false end
${NOW}
local expired = h[4] and now >= tonumber(h[4])
return {h[1], h[2], tonumber(h[3]), h[4] and 1 or 0, expired and 1 or 0, not expired and redis.call('GET', KEYS[2])}`)

/**
 * The fence: stores nothing unless the writer knows the last event, and the stream has not ended.
 *
 * KEYS: head, log, kept. ARGV: after, ends, runningMs or 0 to leave it, retentionMs, tombstoneMs, followingMs, and for
 * each piece its last seq and its JSON.
 */
export const APPEND = script(`
local h = redis.call('HMGET', KEYS[1], 'last', 'until')
if not h[1] then return {'missing', 0} end
local last = tonumber(h[1])
if h[2] then return {'ended', last} end
if last ~= tonumber(ARGV[1]) then return {'misplaced', last} end
for i = 7, #ARGV, 2 do
  last = tonumber(ARGV[i])
  redis.call('XADD', KEYS[2], ARGV[i] .. '-0', 'p', ARGV[i + 1])
end
if #ARGV > 6 then redis.call('HSET', KEYS[1], 'last', last) end
if ARGV[2] == '1' then
  ${NOW}
  redis.call('HSET', KEYS[1], 'until', string.format('%.0f', now + ARGV[4]))
  redis.call('PEXPIRE', KEYS[1], ARGV[4] + ARGV[5])
  redis.call('PEXPIRE', KEYS[2], ARGV[4] + ARGV[6])
  redis.call('PEXPIRE', KEYS[3], ARGV[4] + ARGV[6])
elseif ARGV[3] ~= '0' then
  for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[3]) end
end
return {'stored', last}`)

/** KEYS: head, log, kept. ARGV: tombstoneMs, or 0 for none. */
export const DROP_STREAM = script(`
redis.call('DEL', KEYS[2], KEYS[3])
if ARGV[1] == '0' then return redis.call('DEL', KEYS[1]) end
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('HSET', KEYS[1], 'until', 0)
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
return 1`)

/** KEYS: name. ARGV: id or '', fingerprint, resuming, stale or '', runningMs. */
export const CLAIM_NAME = script(`
local r = redis.call('HMGET', KEYS[1], 'id', 'fingerprint', 'replaced')
local id = r[1]
if id and id ~= ARGV[4] then
  if r[2] ~= ARGV[2] then return {'conflict', ''} end
  if id == ARGV[1] then
    redis.call('PEXPIRE', KEYS[1], ARGV[5])
    return {'claimed', ''}
  end
  if ARGV[3] == '1' then
    if r[3] then return {'gone', ''} end
    return {'joined', id}
  end
  return {'joined', id}
end
if ARGV[3] == '1' then return {'gone', ''} end
if ARGV[1] ~= '' then
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'id', ARGV[1], 'fingerprint', ARGV[2])
  if id then redis.call('HSET', KEYS[1], 'replaced', 1) end
  redis.call('PEXPIRE', KEYS[1], ARGV[5])
end
return {'claimed', ''}`)

/** KEYS: name. ARGV: id, runningMs. */
export const SET_NAME = script(`
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'id', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1`)

/** KEYS: name. ARGV: id, retentionMs. */
export const SETTLE_NAME = script(`
if redis.call('HGET', KEYS[1], 'id') ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1`)

/** KEYS: lease. ARGV: ms. */
export const RENEW_LEASE = script(`
local held = redis.call('EXISTS', KEYS[1])
redis.call('SET', KEYS[1], 1, 'PX', ARGV[1])
return held`)

/** KEYS: inbox. ARGV: most entries, ms, messages. */
export const POST = script(`
local fields = {}
for i = 3, #ARGV do
  fields[#fields + 1] = 'm'
  fields[#fields + 1] = ARGV[i]
end
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', unpack(fields))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1`)

/** The first one to ask decides. KEYS: secret. ARGV: fresh. */
export const SECRET = script(`
redis.call('SET', KEYS[1], ARGV[1], 'NX')
return redis.call('GET', KEYS[1])`)

/** What a counter holds: of a gauge, only what is held under living leases. The asking node counts, even if its lease has run out. */
const COUNTERS = `
local leases = ARGV[1]
local function used(key, isGauge)
  if not isGauge then return tonumber(redis.call('GET', key) or '0') end
  local sum, held = 0, redis.call('HGETALL', key)
  for i = 1, #held, 2 do
    if held[i] == ARGV[2] or redis.call('EXISTS', leases .. held[i]) == 1 then sum = sum + held[i + 1]
    else redis.call('HDEL', key, held[i]) end
  end
  return sum
end
local function add(key, isGauge, lease, amount, ms)
  if amount == 0 then return end
  if isGauge then
    redis.call('HINCRBY', key, lease, string.format('%.0f', amount))
    redis.call('PEXPIRE', key, 604800000)
  elseif redis.call('EXISTS', key) == 1 then
    local sum = math.min(tonumber(redis.call('GET', key)) + amount, 9007199254740991)
    redis.call('SET', key, string.format('%.0f', sum), 'KEEPTTL')
  else
    redis.call('SET', key, string.format('%.0f', math.min(amount, 9007199254740991)), 'PX', ms)
  end
end
local function state(key, isGauge)
  return {string.format('%.0f', used(key, isGauge)), isGauge and -1 or redis.call('PTTL', key)}
end`

/** KEYS: counters. ARGV: prefix of leases, lease, checked, and for each counter: is a gauge, amount, most or '', ms. */
export const TAKE = script(`${COUNTERS}
local ok = 1
if ARGV[3] == '1' then
  for i, key in ipairs(KEYS) do
    local at = 4 * i
    local most = ARGV[at + 2]
    if most ~= '' and used(key, ARGV[at] == '1') + ARGV[at + 1] > tonumber(most) then ok = 0 end
  end
end
local states = {}
for i, key in ipairs(KEYS) do
  local at = 4 * i
  if ok == 1 then add(key, ARGV[at] == '1', ARGV[2], tonumber(ARGV[at + 1]), ARGV[at + 3]) end
  states[i] = state(key, ARGV[at] == '1')
end
return {ok, states}`)

/** KEYS: a counter and the gauge of the same name, for each amount. ARGV: prefix of leases, lease, amounts. */
export const GIVE_BACK = script(`
for i = 1, #KEYS, 2 do
  local amount = tonumber(ARGV[2 + (i + 1) / 2])
  local sum = redis.call('GET', KEYS[i])
  if sum then
    if tonumber(sum) <= amount then redis.call('DEL', KEYS[i])
    else redis.call('SET', KEYS[i], string.format('%.0f', sum - amount), 'KEEPTTL') end
  end
  local held = redis.call('HGET', KEYS[i + 1], ARGV[2])
  if held then
    if tonumber(held) <= amount then redis.call('HDEL', KEYS[i + 1], ARGV[2])
    else redis.call('HINCRBY', KEYS[i + 1], ARGV[2], string.format('%.0f', -amount)) end
  end
end
return 1`)

/** KEYS: gauges. ARGV: lease, amounts. */
export const HOLD = script(`
for i, key in ipairs(KEYS) do
  if ARGV[i + 1] == '0' then redis.call('HDEL', key, ARGV[1])
  else redis.call('HSET', key, ARGV[1], ARGV[i + 1]) end
end
return 1`)

/** KEYS: the day. ARGV: ms, and for each field its name and amount. */
export const ADD_USAGE = script(`
for i = 2, #ARGV, 2 do redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1`)
