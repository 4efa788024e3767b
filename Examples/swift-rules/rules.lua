-- The business logic of the service of this folder: what an order costs.

local discounts = { [10] = 0.05, [50] = 0.1 }

function price(order)
  local sum, count = 0, 0
  for _, item in ipairs(order.items) do
    if item.count < 1 then error(("%s: a count of %d"):format(item.name, item.count), 0) end
    sum = sum + item.count * item.price
    count = count + item.count
  end
  local best = 0
  for least, discount in pairs(discounts) do
    if count >= least then best = math.max(best, discount) end
  end
  return sum * (1 - best)
end
