"""python -m benchmarks: every benchmark, one thread."""

from benchmarks import pairs  # isort: skip  first, for it sets one thread before NumPy is loaded

from benchmarks import engine, gradcheck, judge

if __name__ == "__main__":
    print(f"one thread: {', '.join(pairs.THREADS)}")
    engine.main()
    judge.main()
    gradcheck.main()
