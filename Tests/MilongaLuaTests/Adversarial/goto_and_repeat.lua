progress = 0
::again::
repeat progress = progress + 1 until progress % 2 == 0
goto again
