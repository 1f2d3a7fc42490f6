-- KEYS: the mark of the id that waited; the library's sets of messages that were done and given up, its data, and what its
-- keys of one message each begin with.
redis.call('del', KEYS[1])
for _, handled in ipairs({KEYS[2], KEYS[3]}) do
    for _, message in ipairs(redis.call('spop', handled, 16)) do
        redis.call('hdel', KEYS[4], message)
        redis.call('del', KEYS[5] .. ':' .. message)
    end
end
