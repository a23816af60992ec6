-- What wrk sends: GET with the bearer tokens of a file, in turn or, to fill caches, at random.
-- Arguments: the file (one token in each line; without any, no Authorization), then "turn" or "random".
local requests, order, at = {}, "turn", 0

function init(args)
  for token in io.lines(args[1]) do
    requests[#requests + 1] = wrk.format("GET", nil, { Authorization = "Bearer " .. token })
  end
  if #requests == 0 then
    requests[1] = wrk.format("GET")
  end
  order = args[2]
end

function request()
  if order == "random" then
    at = math.random(#requests)
  else
    at = at % #requests + 1
  end
  return requests[at]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests":%d,"microseconds":%d,"p50":%d,"p99":%d,"refused":%d,"broken":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
