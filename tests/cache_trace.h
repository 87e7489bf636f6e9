/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests to a cache: zipf-distributed keys, now and then interrupted by a scan of keys that nobody
 * asks for again. And exact LRU, to compare with.
 */
#ifndef TESTS_CACHE_TRACE_H
#define TESTS_CACHE_TRACE_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

struct trace_options {
	uint64_t seed;
	uint32_t key_count;   /* 0..key_count-1 are asked for by rank, the smallest most often */
	double theta;         /* skew: 0.99 is YCSB's */
	uint32_t scan_every;  /* requests between two scans; 0 = no scans */
	uint32_t scan_length; /* requests; the keys are key_count.. and grow for ever */
};

struct trace {
	struct trace_options options;
	double zeta, zeta2, alpha, eta;
	uint64_t random;
	uint64_t requests;
	uint64_t scan_next;
	uint32_t scan_left;
};

/* Whether the last key came from a scan: those count for no hit ratio, they cannot hit. */
static inline bool trace_is_scanning(const struct trace *trace)
{
	return trace->scan_left > 0;
}

static inline double trace_zeta(uint32_t count, double theta)
{
	double sum = 0;

	for (uint32_t i = 1; i <= count; i++)
		sum += pow(1.0 / i, theta);
	return sum;
}

static inline void trace_open(struct trace *trace, const struct trace_options *options)
{
	double n = options->key_count;

	*trace = (struct trace){ .options = *options,
				 .random = options->seed,
				 .scan_next = options->key_count };
	trace->zeta = trace_zeta(options->key_count, options->theta);
	trace->zeta2 = trace_zeta(2, options->theta);
	trace->alpha = 1.0 / (1.0 - options->theta);
	trace->eta =
		(1.0 - pow(2.0 / n, 1.0 - options->theta)) / (1.0 - trace->zeta2 / trace->zeta);
}

static inline double trace_uniform(struct trace *trace)
{
	uint64_t z = trace->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	z ^= z >> 31;
	return (double)(z >> 11) / (double)(UINT64_C(1) << 53);
}

/* Gray's quick generator ("Quickly generating billion-record synthetic databases", 1994). */
static inline uint64_t trace_zipf(struct trace *trace)
{
	double u = trace_uniform(trace);
	double uz = u * trace->zeta;
	double rank;

	if (uz < 1.0)
		return 0;
	if (uz < trace->zeta2)
		return 1;
	rank = trace->options.key_count * pow(trace->eta * u - trace->eta + 1.0, trace->alpha);
	return rank < trace->options.key_count ? (uint64_t)rank : trace->options.key_count - 1;
}

/* The next key. */
static inline uint64_t trace_next(struct trace *trace)
{
	const struct trace_options *options = &trace->options;

	if (trace->scan_left > 0)
		trace->scan_left--;
	else if (options->scan_every && ++trace->requests % options->scan_every == 0)
		trace->scan_left = options->scan_length;
	return trace->scan_left > 0 ? trace->scan_next++ : trace_zipf(trace);
}

/* Least recently used, exactly: a list through all keys that can occur. */
struct lru {
	uint32_t *next,
		*previous; /* by key + 1; 0 is the head; next == 0 and not in the list: absent */
	bool *present;
	uint32_t capacity;
	uint32_t count;
};

static inline void lru_open(struct lru *lru, uint32_t capacity, uint64_t key_max)
{
	*lru = (struct lru){ .capacity = capacity };
	lru->next = calloc(key_max + 1, sizeof(*lru->next));
	lru->previous = calloc(key_max + 1, sizeof(*lru->previous));
	lru->present = calloc(key_max + 1, sizeof(*lru->present));
	if (!lru->next || !lru->previous || !lru->present)
		abort();
}

static inline void lru_close(struct lru *lru)
{
	free(lru->next);
	free(lru->previous);
	free(lru->present);
}

static inline void lru_unlink(struct lru *lru, uint32_t node)
{
	lru->next[lru->previous[node]] = lru->next[node];
	lru->previous[lru->next[node]] = lru->previous[node];
	lru->present[node] = false;
	lru->count--;
}

static inline void lru_link_first(struct lru *lru, uint32_t node)
{
	lru->next[node] = lru->next[0];
	lru->previous[node] = 0;
	lru->previous[lru->next[0]] = node;
	lru->next[0] = node;
	lru->present[node] = true;
	lru->count++;
}

/* Reads 'key', inserting it when it is absent. Returns whether it was there. */
static inline bool lru_read(struct lru *lru, uint64_t key)
{
	uint32_t node = (uint32_t)key + 1;
	bool hit = lru->present[node];

	if (hit)
		lru_unlink(lru, node);
	else if (lru->count == lru->capacity)
		lru_unlink(lru, lru->previous[0]);
	lru_link_first(lru, node);
	return hit;
}

#endif
