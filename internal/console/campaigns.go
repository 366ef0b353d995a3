package console

func campaignRoutes() []route { return nil }
