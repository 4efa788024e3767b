progress = 0
progress = 1
table.move({}, math.mininteger, -2, math.mininteger + 1)
