#!/usr/bin/env python3
"""The bar for the flights example: the same question with pandas, scikit-learn and LightGBM.

Same sources, same as-of join, same population, same features, same split, same learners, the same number of
trials with the same bounds on rounds, and the same threads as `pipeline.yaml`; tuned by random search on the
validation months, refitted on training and validation, judged once on November and December.

Versions it was written with: Python 3.11, pandas 3.1.1, scikit-learn 1.9.1, LightGBM 4.7.0, NumPy 2.4.6.

    pip install pandas==3.1.1 pyarrow scikit-learn==1.9.1 lightgbm==4.7.0
    python reference.py --trials 20 --threads 2 --seed 0
"""

import argparse
import json
import resource
import time
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

ZONE = "America/New_York"
CATEGORIES = ["carrier", "origin", "dest", "plane_type", "plane_manufacturer", "plane_engine"]
NUMBERS = [
    "distance", "sched_dep_minute", "sched_arr_minute", "weekday",
    "weather_temp", "weather_dewp", "weather_humid", "weather_wind_dir", "weather_wind_speed", "weather_wind_gust",
    "weather_precip", "weather_pressure", "weather_visib",
    "plane_year", "plane_engines", "plane_seats",
    "airport_lat", "airport_lon", "airport_alt",
]


def extract(data: Path) -> pd.DataFrame:
    """Five sources to one table; nothing in it was unknown two hours before departure."""
    flights = pd.read_parquet(data / "flights.parquet")
    weather = pd.read_csv(data / "weather.csv", na_values=["NA"])
    planes = pd.read_csv(data / "planes.csv", na_values=["NA"])
    airports = pd.read_csv(data / "airports.csv", na_values=["NA"])
    airlines = pd.read_csv(data / "airlines.csv", na_values=["NA"])

    flights = flights[flights["arr_delay"].notna()].copy()
    flights["late"] = (flights["arr_delay"] > 15).astype(int)
    departure = flights["time_hour"].dt.tz_localize("UTC") + pd.to_timedelta(flights["minute"], unit="min")
    flights["known_at"] = departure - pd.Timedelta(hours=2)
    flights["weekday"] = departure.dt.tz_convert(ZONE).dt.dayofweek + 1
    flights["sched_dep_minute"] = flights["sched_dep_time"] // 100 * 60 + flights["sched_dep_time"] % 100
    flights["sched_arr_minute"] = flights["sched_arr_time"] // 100 * 60 + flights["sched_arr_time"] % 100

    weather["known_from"] = pd.to_datetime(weather["time_hour"], utc=True).astype("datetime64[us, UTC]") + pd.Timedelta(hours=1)
    taken = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"]
    weather = weather[["origin", "known_from", *taken]].rename(columns={name: f"weather_{name}" for name in taken})
    flights["known_at"] = flights["known_at"].astype("datetime64[us, UTC]")
    flights = pd.merge_asof(
        flights.sort_values("known_at", kind="stable"), weather.sort_values("known_from", kind="stable"),
        left_on="known_at", right_on="known_from", by="origin", direction="backward", tolerance=pd.Timedelta(hours=6),
    )
    planes = planes[["tailnum", "year", "type", "manufacturer", "engines", "seats", "engine"]].rename(
        columns={name: f"plane_{name}" for name in ["year", "type", "manufacturer", "engines", "seats", "engine"]}
    )
    flights = flights.merge(planes, on="tailnum", how="left", validate="many_to_one")
    airports = airports[["faa", "lat", "lon", "alt"]].rename(
        columns={name: f"airport_{name}" for name in ["lat", "lon", "alt"]}
    )
    flights = flights.merge(airports, left_on="dest", right_on="faa", how="left", validate="many_to_one")
    flights = flights.merge(airlines, on="carrier", how="left", validate="many_to_one")
    flights["local_day"] = pd.to_datetime(flights[["year", "month", "day"]])
    return flights


def space(learner: str, draw: np.random.Generator, rows: int) -> dict:
    """One proposal; the bounds are those of the product's default spaces."""

    def log(low: float, high: float) -> float:
        return float(np.exp(draw.uniform(np.log(low), np.log(high))))

    if learner == "logistic":
        return {"C": 1.0 / (rows * log(1e-7, 1.0)), "max_iter": 200}
    if learner == "random_forest":
        least, most = max(rows // 20_000, 1), max(rows // 200, 10)
        return {"max_depth": int(draw.integers(6, 17)), "min_samples_leaf": int(log(least, most)), "max_features": float(draw.uniform(0.2, 1.0))}
    return {
        "learning_rate": log(0.02, 0.3), "max_depth": int(draw.integers(3, 11)),
        "min_child_weight": log(0.1, min(max(rows / 500, 2), 200)), "subsample": float(draw.uniform(0.5, 1.0)), "subsample_freq": 1,
        "colsample_bytree": float(draw.uniform(0.4, 1.0)), "reg_lambda": log(1e-3, 100.0),
    }


def defaults(learner: str, rows: int) -> dict:
    """What a learner's first trial takes."""
    if learner == "logistic":
        return {"C": 1.0 / (rows * 1e-4), "max_iter": 200}
    if learner == "random_forest":
        return {"max_depth": 12, "min_samples_leaf": max(rows // 20_000, 1) * 4, "max_features": 0.5}
    return {"learning_rate": 0.1, "max_depth": 6, "min_child_weight": 1.0, "reg_lambda": 1.0}


def planned(number: int) -> str:
    """The learner of trial `number`: every one once, then mostly boosting."""
    first = ["constant", "logistic", "boosting", "random_forest", "naive_bayes"]
    if number < len(first):
        return first[number]
    return {3: "logistic", 5: "random_forest"}.get((number - len(first)) % 6, "boosting")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=Path(__file__).parent / "data")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--early-stopping", type=int, default=30)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    seconds: dict[str, float] = {}
    clock = time.perf_counter()

    def lap(step: str) -> None:
        nonlocal clock
        now = time.perf_counter()
        seconds[step] = now - clock
        clock = now

    table = extract(options.data)
    table.describe(include="all")
    lap("extract")

    day = table["local_day"]
    parts = {
        "train": table[day <= "2013-08-31"],
        "validation": table[(day > "2013-08-31") & (day <= "2013-10-31")],
        "test": table[day > "2013-10-31"],
    }
    features = CATEGORIES + NUMBERS
    for_trees = ColumnTransformer([
        ("category", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2), CATEGORIES),
        ("number", "passthrough", NUMBERS),
    ]).set_output(transform="default")
    for_linear = ColumnTransformer([
        ("category", OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=20), CATEGORIES),
        ("number", make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler()), NUMBERS),
    ])
    y = {name: part["late"].to_numpy() for name, part in parts.items()}
    trees = {"train": for_trees.fit_transform(parts["train"][features]).astype(np.float32)}
    linear = {"train": for_linear.fit_transform(parts["train"][features])}
    for name in ["validation", "test"]:
        trees[name] = for_trees.transform(parts[name][features]).astype(np.float32)
        linear[name] = for_linear.transform(parts[name][features])
    lap("prepare")

    draw = np.random.default_rng(options.seed)
    rows = len(y["train"])
    fixed_forest = {"n_estimators": 100, "n_jobs": options.threads, "random_state": options.seed}
    # Trees of one depth have at most 2^depth leaves: LightGBM's own bound on leaves must not be the tighter one.
    fixed_boosting = {"n_jobs": options.threads, "random_state": options.seed, "verbose": -1, "num_leaves": 1024}
    rank: list[tuple[float, str, dict, int]] = []
    for number in range(options.trials):
        learner = planned(number)
        parameters = defaults(learner, rows) if number < 5 else space(learner, draw, rows)
        used = 0
        if learner == "constant":
            chance = np.full(len(y["validation"]), y["train"].mean())
        elif learner == "logistic":
            model = LogisticRegression(**parameters).fit(linear["train"], y["train"])
            chance = model.predict_proba(linear["validation"])[:, 1]
        elif learner == "naive_bayes":
            dense = {name: (part.toarray() if hasattr(part, "toarray") else part)[:, -len(NUMBERS):] for name, part in linear.items()}
            chance = GaussianNB().fit(dense["train"], y["train"]).predict_proba(dense["validation"])[:, 1]
        elif learner == "random_forest":
            model = RandomForestClassifier(**parameters, **fixed_forest).fit(trees["train"], y["train"])
            chance = model.predict_proba(trees["validation"])[:, 1]
        else:
            model = lgb.LGBMClassifier(**parameters, **fixed_boosting, n_estimators=options.rounds)
            model.fit(
                trees["train"], y["train"], eval_set=[(trees["validation"], y["validation"])], eval_metric="binary_logloss",
                callbacks=[lgb.early_stopping(options.early_stopping, verbose=False)],
            )
            chance = model.predict_proba(trees["validation"])[:, 1]
            used = int(model.best_iteration_ or options.rounds)
        rank.append((float(log_loss(y["validation"], chance)), learner, parameters, used))
    rank.sort(key=lambda row: row[0])
    lap("train")

    _, learner, parameters, used = rank[0]
    both_y = np.concatenate([y["train"], y["validation"]])
    if learner == "boosting":
        final = lgb.LGBMClassifier(**parameters, **fixed_boosting, n_estimators=used)
    elif learner == "random_forest":
        final = RandomForestClassifier(**parameters, **fixed_forest)
    else:
        raise SystemExit(f"unexpected winner {learner}")
    final.fit(np.concatenate([trees["train"], trees["validation"]]), both_y)
    chance = final.predict_proba(trees["test"])[:, 1]
    lap("refit")

    truth = y["test"]
    metrics = {
        "log_loss": log_loss(truth, chance), "roc_auc": roc_auc_score(truth, chance),
        "average_precision": average_precision_score(truth, chance), "brier": brier_score_loss(truth, chance),
    }
    # Percentile intervals that resample local days, as the product's evaluation does, 1,000 times.
    days = parts["test"]["local_day"].astype("int64").to_numpy()
    unique, code = np.unique(days, return_inverse=True)
    rng = np.random.default_rng(options.seed)
    samples = []
    for _ in range(1000):
        weight = np.bincount(rng.integers(0, len(unique), len(unique)), minlength=len(unique))[code].astype(float)
        samples.append([
            log_loss(truth, chance, sample_weight=weight), roc_auc_score(truth, chance, sample_weight=weight),
            brier_score_loss(truth, chance, sample_weight=weight),
        ])
    low, high = np.percentile(samples, [2.5, 97.5], axis=0)
    lap("evaluate")

    print(json.dumps({
        "rows": {name: len(part) for name, part in parts.items()},
        "winner": {"learner": learner, "parameters": parameters, "rounds": used},
        "leaderboard": [{"score": s, "learner": name, "rounds": n} for s, name, _, n in rank],
        "metrics": {k: float(v) for k, v in metrics.items()},
        "intervals": {k: [float(a), float(b)] for k, a, b in zip(["log_loss", "roc_auc", "brier"], low, high)},
        "seconds": seconds, "total_seconds": sum(seconds.values()),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }, indent=1))


if __name__ == "__main__":
    main()
