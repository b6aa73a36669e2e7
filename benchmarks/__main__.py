"""python -m benchmarks: the table of docs/performance.md, then what the judge costs and how sharp it is, and gradcheck; one thread."""

from benchmarks import pairs  # isort: skip  first, for it sets one thread before NumPy is loaded

from benchmarks import gradcheck, judge, table

if __name__ == "__main__":
    print(f"one thread: {', '.join(pairs.THREADS)}")
    table.main([])
    judge.main()
    gradcheck.main()
