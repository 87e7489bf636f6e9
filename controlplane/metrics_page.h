/* SPDX-License-Identifier: BSD-3-Clause */
/* A node's report in Prometheus' text format. */
#ifndef CONTROLPLANE_METRICS_PAGE_H
#define CONTROLPLANE_METRICS_PAGE_H

#include <event2/buffer.h>

#include "controlplane/node_report.h"

#define METRICS_PAGE_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Appends the page to 'page'. Counters whose names share a prefix become one metric with a label:
 * op_get is godwit_operations_total{operation="get"}. 0, or -ENOMEM.
 */
int metrics_page_write(const struct node_report *report, struct evbuffer *page);

#endif
