/* SPDX-License-Identifier: BSD-3-Clause */
/* What the data plane needs to know, from the operator's options and the plan for this machine. */
#ifndef CONTROLPLANE_DATAPLANE_OPTIONS_H
#define CONTROLPLANE_DATAPLANE_OPTIONS_H

#include "controlplane/eal.h"
#include "controlplane/options.h"
#include "dataplane/dataplane.h"

/* Fills 'target'; 'options' were checked. Pure. */
void dataplane_options_make(struct dataplane_options *target, const struct options *options,
			    const struct eal_plan *plan);

#endif
