-- A reader has ended: gives back at once what it had fetched, and drops what no reader can read and would end the next one.
-- KEYS: the library's set of readers, what this one has fetched, what is kept of this one, the messages that are next, the
-- messages' texts, and what the keys of one message each begin with. ARGV: the reader.
redis.call('zrem', KEYS[1], ARGV[1])
for _, message in ipairs(redis.call('smembers', KEYS[2])) do
    local text = redis.call('hget', KEYS[5], message)
    if text and string.match(text, '^"[%w_-]+"$') then
        redis.call('rpush', KEYS[4], message)
    else
        redis.call('hdel', KEYS[5], message)
        redis.call('del', KEYS[6] .. ':' .. message)
    end
end
redis.call('del', KEYS[2], KEYS[3])
