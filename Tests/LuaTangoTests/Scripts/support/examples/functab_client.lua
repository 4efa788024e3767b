con.sqrt(4)
