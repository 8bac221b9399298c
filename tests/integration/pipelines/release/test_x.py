def test_it(road):
    print(road.aliases(), road.said())
    j=road.judge("3"); print(j.verdict.sentence())
    print(road.aliases())
def test_empty(road):
    print(road.decide("2","bert@example.org"))
    print(road.promote("2", as_of="2014-12-30"))
