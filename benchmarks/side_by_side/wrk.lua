-- For wrk.py: posts the file that is named behind `--`, if there is one, and reports in one line of JSON.
-- There is no function `request` or `response`, so that nothing runs for each request.

function init(arguments)
   if arguments[1] then
      wrk.method = "POST"
      wrk.body = io.open(arguments[1], "rb"):read("*a")
   end
end

function done(summary, latency, requests)
   local errors = summary.errors
   io.write(string.format(
      '\n{"requests": %d, "microseconds": %d, "bytes": %d, "errors": %d}\n',
      summary.requests, summary.duration, summary.bytes,
      errors.connect + errors.read + errors.write + errors.status + errors.timeout
   ))
end
