package module

import (
	"github.com/meseta-project/meseta/allocation"
	pb "github.com/meseta-project/meseta/api/meseta/allocation/v1"
)

func quantitiesToProto(qs []allocation.Quantity) []*pb.Quantity {
	out := make([]*pb.Quantity, 0, len(qs))
	for _, q := range qs {
		out = append(out, &pb.Quantity{Name: q.Name, Amount: q.Amount})
	}
	return out
}

func quantities(qs []*pb.Quantity) []allocation.Quantity {
	out := make([]allocation.Quantity, 0, len(qs))
	for _, q := range qs {
		out = append(out, allocation.Quantity{Name: q.GetName(), Amount: q.GetAmount()})
	}
	return out
}

func demandToProto(d allocation.Demand) *pb.Demand {
	out := &pb.Demand{Total: quantitiesToProto(d.Total), Free: quantitiesToProto(d.Free), Omitted: int64(d.Omitted)}
	for _, r := range d.Roles {
		role := &pb.Role{Name: r.Name, Weight: r.Weight, Share: r.Share, Allocated: quantitiesToProto(r.Allocated)}
		for _, f := range r.Frameworks {
			role.Frameworks = append(role.Frameworks, &pb.Framework{
				Id: f.ID, Name: f.Name, Share: f.Share, Allocated: quantitiesToProto(f.Allocated), Wants: f.Wants,
			})
		}
		out.Roles = append(out.Roles, role)
	}
	return out
}

func demand(d *pb.Demand) allocation.Demand {
	out := allocation.Demand{Total: quantities(d.GetTotal()), Free: quantities(d.GetFree()), Omitted: int(d.GetOmitted())}
	for _, r := range d.GetRoles() {
		role := allocation.Role{Name: r.GetName(), Weight: r.GetWeight(), Share: r.GetShare(), Allocated: quantities(r.GetAllocated())}
		for _, f := range r.GetFrameworks() {
			role.Frameworks = append(role.Frameworks, allocation.Framework{
				ID: f.GetId(), Name: f.GetName(), Share: f.GetShare(), Allocated: quantities(f.GetAllocated()), Wants: f.GetWants(),
			})
		}
		out.Roles = append(out.Roles, role)
	}
	return out
}

func rankingToProto(r allocation.Ranking) *pb.Ranking {
	out := &pb.Ranking{Roles: r.Roles, Frameworks: make(map[string]*pb.Ranks, len(r.Frameworks))}
	for role, ranks := range r.Frameworks {
		out.Frameworks[role] = &pb.Ranks{Ranks: ranks}
	}
	return out
}

func ranking(r *pb.Ranking) allocation.Ranking {
	out := allocation.Ranking{Roles: r.GetRoles(), Frameworks: make(map[string]map[string]int32, len(r.GetFrameworks()))}
	for role, ranks := range r.GetFrameworks() {
		out.Frameworks[role] = ranks.GetRanks()
	}
	return out
}
